using Cli.Arguments;
using Cli.Supervision;
using Debugging.Kernels;
using Emulator;
using GdbStub.Sessions;
using Snapshots;

namespace Cli.Running;

/// <summary>How fast the guest's time goes by.</summary>
internal enum Pace
{
    /// <summary>A halted CPU jumps to the next event at once.</summary>
    Turbo,

    /// <summary>A halted CPU waits as long as the guest does, for a person at the console.</summary>
    Real,
}

/// <summary>A file handed to the kernel beside itself, and what the kernel is told about it.</summary>
/// <param name="Path">The file.</param>
/// <param name="Words">Multiboot's module string.</param>
internal sealed record ModuleFile(string Path, string Words);

/// <summary>Everything `gdbstub run` was told.</summary>
internal sealed record RunOptions
{
    /// <summary>--kernel.</summary>
    public required string Kernel { get; init; }

    /// <summary>--initrd.</summary>
    public string? Initrd { get; init; }

    /// <summary>--append: the kernel's command line.</summary>
    public string Append { get; init; } = "";

    /// <summary>--module, in order.</summary>
    public IReadOnlyList<ModuleFile> Modules { get; init; } = [];

    /// <summary>--flat: the kernel is a flat binary.</summary>
    public FlatPlacement? Flat { get; init; }

    /// <summary>--memory, in bytes.</summary>
    public ulong Memory { get; init; } = 256UL << 20;

    /// <summary>--engine.</summary>
    public Engine Engine { get; init; } = Engine.Translator;

    /// <summary>--exit-port: port F4h ends the process.</summary>
    public bool ExitPort { get; init; }

    /// <summary>--debug-port: where port E9h goes; "console" for the console, null for nowhere.</summary>
    public string? DebugPort { get; init; }

    /// <summary>--gdb; null for none.</summary>
    public GdbEndpoint? Gdb { get; init; }

    /// <summary>--gdb-expose.</summary>
    public bool GdbExpose { get; init; }

    /// <summary>--wait: nothing is executed before a debugger says so.</summary>
    public bool Wait { get; init; }

    /// <summary>--on-panic.</summary>
    public PanicAction OnPanic { get; init; }

    /// <summary>--max-reboots; null for no limit.</summary>
    public ulong? MaximumReboots { get; init; }

    /// <summary>--backoff: the longest wait before a guest that keeps crashing is started again.</summary>
    public TimeSpan LongestBackoff { get; init; } = RestartBackoff.DefaultLongest;

    /// <summary>--keep and its like, for this machine's archives.</summary>
    public KeepRules Keep { get; init; } = new();

    /// <summary>The store's directory.</summary>
    public required string Store { get; init; }

    /// <summary>--console.</summary>
    public ConsoleDestination Console { get; init; } = new ConsoleDestination.Stdio();

    /// <summary>--pace.</summary>
    public Pace Pace { get; init; }

    /// <summary>--seed.</summary>
    public ulong Seed { get; init; }

    /// <summary>--vmlinux and --threads: what debuggers are given of Linux kernels.</summary>
    public KernelSymbols Kernels { get; init; } = new();

    /// <summary>--name; the kernel file's name when none is given.</summary>
    public required string Name { get; init; }

    /// <summary>--json.</summary>
    public bool Json { get; init; }

    /// <summary>--stats.</summary>
    public bool Statistics { get; init; }
}
