// The way from here to the instruction that panicked: CommandLine picks a command; Commands/RunCommand reads its options;
// Running/GuestRun builds the machine, the console and the debugger's port around a Supervisor; Supervision/Supervisor
// runs the machine (Emulator's Machine.Run) until it exits, and asks GuestOs' TrapAnalyzer what the exit was.
return await Cli.CommandLine.InvokeAsync(args);
