using System.CommandLine;
using Cli.Arguments;
using Cli.Running;
using Cli.Supervision;
using GdbStub.Sessions;

namespace Cli.Commands;

/// <summary>gdbstub run: boots a guest and stays with it.</summary>
internal sealed class RunCommand : Command, IExample
{
    private static readonly (string Word, PanicAction Value)[] PanicActions =
        [("freeze", PanicAction.Freeze), ("reboot", PanicAction.Reboot), ("exit", PanicAction.Exit)];

    private static readonly (string Word, Pace Value)[] Paces = [("turbo", Pace.Turbo), ("real", Pace.Real)];

    private readonly Option<string> kernel = new("--kernel")
    {
        Description = "Linux bzImage, ELF with a PVH note, Multiboot 1 kernel, or with --flat any bytes",
        HelpName = "file",
        Required = true,
    };

    private readonly Option<string?> initrd = Text("--initrd", "file", "Initial RAM disk");
    private readonly Option<string?> append = Text("--append", "words", "The kernel's command line");

    private readonly Option<string[]> modules = new("--module")
    {
        Description = "A Multiboot or PVH module and the words it is told, \"FILE WORDS\"; may be given again",
        HelpName = "file",
    };

    private readonly Option<string?> flat = Text(
        "--flat", "addr[:real|protected|long]", "The kernel is a flat binary for this address, entered in this mode");

    private readonly Option<string?> memory = Text("--memory", "size", "The guest's RAM [default: 256M]");
    private readonly Option<string?> engine = CommonOptions.Engine();
    private readonly Option<string?> cpus = Text("--cpus", "n", "Virtual CPUs: 1 so far");
    private readonly Option<string?> gdb = CommonOptions.Gdb();
    private readonly Option<bool> expose = CommonOptions.GdbExpose();
    private readonly Option<bool> wait = Flag("--wait", "Execute nothing before a debugger says so");

    private readonly Option<string?> onPanic = Text(
        "--on-panic", "freeze|reboot|exit",
        "What becomes of a machine whose guest crashed, besides being archived: it stays frozen for a debugger, the guest starts again, or the run ends [default: freeze]");

    private readonly Option<string?> maximumReboots = Text(
        "--max-reboots", "n", "Start the guest again at most so often, after panics and plain reboots alike; 0: never [default: no limit]");

    private readonly Option<string?> backoff = Text(
        "--backoff", "none|seconds", "The longest wait before a guest that keeps crashing soon after its start is started again; it begins with none, then 1 s, 2 s … [default: 60]");

    private readonly KeepOptions keep = new();
    private readonly Option<string?> store = CommonOptions.Store();

    private readonly Option<string?> console = Text(
        "--console", "stdio|none|file", "The guest's serial console: stdio (Ctrl-A h lists the keys), none, or a file [default: stdio]");

    private readonly Option<string?> debugPort = Text("--debug-port", "console|file", "Where goes what the guest writes to port E9h");
    private readonly Option<bool> exitPort = Flag("--exit-port", "A guest that writes V to port F4h ends the run with exit code (V<<1)|1");

    private readonly Option<string?> pace = Text(
        "--pace", "turbo|real", "turbo: idle time passes at once; real: as by the clock, for a person at the console [default: turbo]");

    private readonly Option<string?> seed = Text(
        "--seed", "n", "Seed of all that is random in the machine: the same seed and input make the same run [default: 0]");

    private readonly Option<string?> name = Text("--name", "words", "The machine's name in lists and archives [default: the kernel file's]");
    private readonly Option<bool> json = Flag("--json", "Report what happens on standard output, one JSON object a line");
    private readonly Option<bool> stats = Flag("--stats", "Tell at the end what the machine did and what it cost");

    private readonly KernelChoices kernels = new();

    /// <summary>The command.</summary>
    public RunCommand()
        : base("run", "Boots a guest. When it panics, the machine is frozen, archived, and served to debuggers.")
    {
        Option[] options =
        [
            kernel, initrd, append, modules, flat, memory, cpus, engine, gdb, expose, wait, onPanic, maximumReboots, backoff, store, console, debugPort, exitPort,
            pace, seed, name, json, stats,
        ];
        foreach (Option option in options)
        {
            Add(option);
        }

        keep.AddTo(this);
        kernels.AddTo(this);

        SetAction((parsed, _) => GuestRun.RunAsync(Read(parsed), CommonOptions.ReadLogLevel(parsed)));
    }

    /// <inheritdoc/>
    public string Example => """
        gdbstub run --kernel vmlinuz --initrd initrd --append "console=ttyS0 panic=1" --gdb tcp:127.0.0.1:1234
        gdbstub run --kernel os.elf --exit-port --debug-port console --gdb none --on-panic exit
        gdbstub run --kernel boot.bin --flat 0x7c00:real --memory 16M --wait
        """;

    /// <summary>What a run is told. Throws <see cref="UsageError"/> when it cannot be meant.</summary>
    public RunOptions Read(ParseResult parsed)
    {
        string file = parsed.GetRequiredValue(kernel);
        GdbEndpoint? endpoint = CommonOptions.ReadGdb(parsed, gdb, expose);
        string? consoleWords = parsed.GetValue(console);
        CheckCombinations(parsed, endpoint, consoleWords);
        return new RunOptions
        {
            Kernel = file,
            Initrd = parsed.GetValue(initrd),
            Append = parsed.GetValue(append) ?? "",
            Modules = [.. (parsed.GetValue(modules) ?? []).Select(ReadModule)],
            Flat = CommonOptions.Read<FlatPlacement?>(parsed, flat, FlatPlacement.TryParse, null),
            Memory = CommonOptions.Read(parsed, memory, MemorySize.TryParse, 256UL << 20),
            Engine = CommonOptions.ReadEngine(parsed, engine),
            ExitPort = parsed.GetValue(exitPort),
            DebugPort = parsed.GetValue(debugPort),
            Gdb = endpoint,
            GdbExpose = parsed.GetValue(expose),
            Wait = parsed.GetValue(wait),
            OnPanic = CommonOptions.ReadWord(parsed, onPanic, PanicActions, PanicAction.Freeze),
            MaximumReboots = CommonOptions.Read<ulong?>(parsed, maximumReboots, ReadCount, null),
            LongestBackoff = CommonOptions.Read(parsed, backoff, ReadBackoff, RestartBackoff.DefaultLongest),
            Keep = keep.Read(parsed) with { Machine = parsed.GetValue(name) ?? Path.GetFileName(file) },
            Store = CommonOptions.ReadStore(parsed, store),

            // A debugger on standard input and output leaves no room for a console there.
            Console = ConsoleDestination.Parse(consoleWords ?? (endpoint is GdbEndpoint.Stdio ? "none" : "stdio")),
            Pace = CommonOptions.ReadWord(parsed, pace, Paces, Pace.Turbo),
            Seed = CommonOptions.Read(parsed, seed, ReadSeed, 0UL),
            Kernels = kernels.Read(parsed),
            Name = parsed.GetValue(name) ?? Path.GetFileName(file),
            Json = parsed.GetValue(json),
            Statistics = parsed.GetValue(stats),
        };
    }

    private static Option<string?> Text(string name, string helpName, string description) => new(name) { Description = description, HelpName = helpName };

    private static Option<bool> Flag(string name, string description) => new(name) { Description = description };

    private static ModuleFile ReadModule(string text)
    {
        int space = text.IndexOf(' ', StringComparison.Ordinal);
        return space < 0 ? new ModuleFile(text, Path.GetFileName(text)) : new ModuleFile(text[..space], text[(space + 1)..]);
    }

    private static bool ReadCount(string text, out ulong? value, out string error)
    {
        bool read = Number.TryParse(text, out ulong number);
        value = number;
        error = read ? "" : $"'{text}' is not a count: give 0 or more";
        return read;
    }

    private static bool ReadBackoff(string text, out TimeSpan value, out string error)
    {
        ulong seconds = 0;
        bool read = text == "none" || (Number.TryParse(text, out seconds) && seconds <= 86400);
        value = TimeSpan.FromSeconds(Math.Min(seconds, 86400));
        error = read ? "" : $"'{text}' is no wait: give none, or seconds up to 86400";
        return read;
    }

    private static bool ReadSeed(string text, out ulong value, out string error)
    {
        bool read = Number.TryParse(text, out value);
        error = read ? "" : $"'{text}' is not a seed: give a number of up to 64 bits, decimal or 0x…";
        return read;
    }

    private static bool ReadCpus(string text, out ulong value, out string error)
    {
        bool read = Number.TryParse(text, out value) && value == 1;
        error = read ? "" : $"'{text}' CPUs cannot be had yet: give 1";
        return read;
    }

    private void CheckCombinations(ParseResult parsed, GdbEndpoint? endpoint, string? consoleWords)
    {
        _ = CommonOptions.Read(parsed, cpus, ReadCpus, 1UL);
        bool onStdio = endpoint is GdbEndpoint.Stdio;
        string? wrong = parsed.GetValue(wait) && endpoint is null ? "--wait waits for a debugger, and --gdb none lets none in: leave one of them out"
            : onStdio && consoleWords == "stdio" ? "the debugger and the console cannot both have standard input and output: give --console none or a file"
            : onStdio && parsed.GetValue(json) ? "--json needs standard output, which the debugger has: give --gdb tcp:127.0.0.1:0"
            : null;
        if (wrong is not null)
        {
            throw new UsageError(wrong);
        }
    }
}
