using System.Text;
using Emulator;
using Emulator.Boot;
using Emulator.Devices;
using Emulator.Memory;
using Emulator.Time;
using GuestOs;
using Guests;

namespace Conformance.Tests;

/// <summary>A machine, what its console printed, and what its end was.</summary>
internal sealed class GuestRun : IDisposable
{
    /// <summary>Longer in guest time than anything here takes; a guest that hangs fails instead of hanging the tests.</summary>
    public const ulong Limit = 20_000_000_000;

    /// <summary>The command line that panics by sysrq-c a second before it resets.</summary>
    public const string Crash = "console=ttyS0 panic=1 gdbstub.do=crash";

    private readonly StringBuilder console = new();
    private BootRequest? request;

    public GuestRun(ulong memory = 256UL << 20, bool exitPort = false, Engine engine = Engine.Translator)
    {
        Errors = new ErstStore();
        Machine = new Machine(new MachineOptions { Engine = engine, Memory = memory, ExitPort = exitPort, ErstStore = Errors, Com1Output = sent => console.Append((char)sent) });
    }

    public Machine Machine { get; }

    public ErstStore Errors { get; }

    /// <summary>Everything COM1 sent so far.</summary>
    public string Console => console.ToString();

    /// <summary>Debian, about to execute its first instruction.</summary>
    public static GuestRun Debian(string commandLine = Crash, Engine engine = Engine.Translator)
    {
        (byte[] kernel, byte[] initrd) = (DebianFiles.Kernel(), DebianFiles.Initrd());
        var run = new GuestRun(engine: engine);
        run.Boot(new BootRequest { Kernel = kernel, Initrd = initrd, MemoryMap = [], CommandLine = commandLine });
        return run;
    }

    /// <summary>One of our own guests, about to execute its first instruction.</summary>
    public static GuestRun Of(Guest guest, ulong memory = 256UL << 20, Engine engine = Engine.Translator)
    {
        var run = new GuestRun(memory, exitPort: true, engine);
        run.Boot(new BootRequest
        {
            Kernel = guest.Image,
            MemoryMap = [],
            CommandLine = guest.CommandLine,
            FlatAddress = guest.Format == GuestFormat.BootSector ? 0x7C00 : null,
        });
        return run;
    }

    /// <summary>Puts the machine back to where it was: the console is empty again.</summary>
    public void GoBack(MachineState state, MemorySnapshot memory)
    {
        Machine.Load(state, memory);
        console.Clear();
    }

    /// <summary>A line typed at the console, and what becomes of the machine.</summary>
    public MachineExit Type(string line)
    {
        Machine.Input.Post(InputKind.Console, Encoding.ASCII.GetBytes(line + "\r"));
        return Run();
    }

    /// <summary>Runs to an end of the guest's own making.</summary>
    public MachineExit Run()
    {
        MachineExit exit = Machine.Run(Limit);
        TestContext.Current.TestOutputHelper?.WriteLine($"{exit}\n{Console}");
        return exit;
    }

    /// <summary>Lets the reset happen that stopped the machine, and boots the guest again, with another command line if one is given.</summary>
    public void Restart(string? commandLine = null)
    {
        Machine.Restart();
        console.Clear();
        Boot(request! with { CommandLine = commandLine ?? request.CommandLine });
    }

    /// <summary>What the end was.</summary>
    public TrapVerdict Judge(MachineExit exit) => TrapAnalyzer.Analyze(Machine, exit, new TrapEvidence
    {
        ErrorRecords = Machine.NewErrorRecords,
        PvPanicEvents = Machine.PvPanicEvents,
        ReportInstant = Machine.ReportInstant,
    });

    public void Dispose() => Machine.Dispose();

    private void Boot(BootRequest boot)
    {
        request = boot;
        Machine.Boot(boot);
    }
}
