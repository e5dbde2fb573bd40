using System.Text;
using Emulator;
using Emulator.Boot;

namespace Bench.Processes;

/// <summary>One run of our machine, in a process that does nothing else, so that the runtime's start counts as QEMU's does.</summary>
internal static class MachineChild
{
    /// <summary>The first argument of such a process.</summary>
    public const string Command = "run-once";

    /// <summary>The word before the <see cref="MachineFigures"/> at the end, on standard error.</summary>
    public const string CountMark = "machine:";

    private static readonly string[] Options = ["--engine", "--memory", "--console", "--kernel", "--initrd", "--append"];

    /// <summary>Runs until the guest asks for a reset, powers off or writes the exit port.</summary>
    public static int Run(ReadOnlySpan<string> words)
    {
        Arguments arguments = Arguments.Parse(words, Options);
        using Stream output = Console.OpenStandardOutput();
        using var console = new FileStream(arguments.Required("--console"), FileMode.Create, FileAccess.Write, FileShare.Read);
        var line = new List<byte>();
        ulong halted = 0;
        Machine machine = null!;
        MachineFigures Figures() => new(machine.InstructionCount - halted, machine.Memory.AllocatedPages);

        using (machine = new Machine(new MachineOptions
        {
            Memory = (ulong)arguments.Number("--memory", GuestImage.UsualMemoryMiB, 1, 1 << 20) << 20,
            Engine = arguments.Choice("--engine", Engine.Translator),
            ExitPort = true,
            // Passes at once, as without it, and is counted.
            Idle = nanoseconds =>
            {
                halted += nanoseconds;
                return nanoseconds;
            },
            Com1Output = value =>
            {
                console.WriteByte(value);
                if (value == '\n')
                {
                    console.Flush();
                }
            },
            DebugOutput = value =>
            {
                if (value != '\n')
                {
                    line.Add(value);
                    return;
                }

                line.AddRange(Encoding.ASCII.GetBytes($"\t{Figures()}\n"));
                output.Write([.. line]);
                line.Clear();
            },
        }))
        {
            machine.Boot(new BootRequest
            {
                Kernel = File.ReadAllBytes(arguments.Required("--kernel")),
                Initrd = arguments.Text("--initrd") is { } initrd ? File.ReadAllBytes(initrd) : null,
                MemoryMap = [],
                CommandLine = arguments.Text("--append") ?? "",
            });
            MachineExit exit = machine.Run();
            Console.Error.WriteLine($"{CountMark} {Figures()}");
            switch (exit.Kind)
            {
                case MachineExitKind.Reset or MachineExitKind.PowerOff:
                    return 0;
                case MachineExitKind.ExitPort:
                    return exit.ExitCode;
                default:
                    Console.Error.WriteLine($"the machine ended with {exit.Kind}, neither a reset nor a power-off");
                    return 1;
            }
        }
    }
}
