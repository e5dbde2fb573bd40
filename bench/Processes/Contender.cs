using System.ComponentModel;
using System.Diagnostics;
using Emulator;

namespace Bench.Processes;

/// <summary>
/// One of those compared: a way to boot a <see cref="GuestImage"/> in a process of its own. All have the guest's marks
/// (port E9h) on standard output and its serial console in a file.
/// </summary>
internal sealed class Contender(string name, Func<GuestImage, string, ProcessStartInfo> start)
{
    /// <summary>The names in tables and options.</summary>
    public const string OursName = "gdbstub", TcgName = "tcg", CountingName = "icount";

    private const string Qemu = "qemu-system-x86_64";

    /// <summary>Nehalem is the QEMU model nearest to the x86-64-v2 that we offer.</summary>
    private const string QemuCpu = "Nehalem";

    /// <summary>As tables have it.</summary>
    public string Name => name;

    /// <summary>The process to start, with the console going to the file named.</summary>
    public ProcessStartInfo Start(GuestImage image, string console) => start(image, console);

    /// <summary>Our machine, in a process of this program.</summary>
    public static Contender Ours(Engine engine) => new(OursName, (image, console) =>
    {
        // Started by the dotnet command, the process is that one and wants our assembly first.
        string program = Environment.ProcessPath!;
        string[] assembly = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [Path.Combine(AppContext.BaseDirectory, "Bench.dll")] : [];
        return new ProcessStartInfo(program,
        [
            .. assembly, MachineChild.Command, "--engine", engine.ToString(), "--memory", $"{image.MemoryMiB}", "--console", console,
            "--kernel", image.Kernel, .. image.Initrd is { } initrd ? ["--initrd", initrd] : Array.Empty<string>(), "--append", image.CommandLine,
        ]);
    });

    /// <summary>The program people run, built by <paramref name="script"/>.</summary>
    public static Contender Product(string script, Engine engine, string store) => new("scripts/gdbstub", (image, _) => new ProcessStartInfo(script,
    [
        "run", "--memory", $"{image.MemoryMiB}M", "--gdb", "none", "--debug-port", "console", "--exit-port", "--on-panic", "exit", "--store", store,
        // Until the command line knows of engines, it has one.
        .. CommandLineKnowsEngines(script) ? ["--engine", engine.ToString().ToLowerInvariant()] : Array.Empty<string>(),
        "--kernel", image.Kernel, .. image.Initrd is { } initrd ? ["--initrd", initrd] : Array.Empty<string>(), "--append", image.CommandLine,
    ]));

    /// <summary>QEMU's translator, as it is.</summary>
    public static Contender Tcg() => new(TcgName, (image, console) => StartQemu(image, console, "-accel", "tcg"));

    /// <summary>The same with a translation cache of so many MiB.</summary>
    public static Contender Tcg(int cacheMiB) => new(TcgName, (image, console) => StartQemu(image, console, "-accel", $"tcg,tb-size={cacheMiB}"));

    /// <summary>QEMU's translator with time counted in instructions, which is what our machine does.</summary>
    public static Contender TcgCounting() => new(CountingName, (image, console) => StartQemu(image, console, "-accel", "tcg", "-icount", "shift=0,sleep=off"));

    /// <summary>What QEMU says of itself, or null when it is not there.</summary>
    public static string? QemuVersion()
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(Qemu, ["--version"]) { RedirectStandardOutput = true })!;
            return process.StandardOutput.ReadToEnd().Split('\n')[0];
        }
        catch (Win32Exception)
        {
            return null;
        }
    }

    // No display, network card or disk drive, since our machine has none: they would cost QEMU's guest time.
    private static ProcessStartInfo StartQemu(GuestImage image, string console, params ReadOnlySpan<string> engine) => new(Qemu,
    [
        .. engine, "-machine", "pc", "-cpu", QemuCpu, "-smp", "1", "-m", $"{image.MemoryMiB}", "-nodefaults", "-display", "none", "-no-reboot",
        "-chardev", "stdio,id=marks,signal=off", "-device", "isa-debugcon,iobase=0xe9,chardev=marks",
        "-chardev", $"file,id=console,path={console}", "-serial", "chardev:console", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-kernel", image.Kernel, .. image.Initrd is { } initrd ? ["-initrd", initrd] : Array.Empty<string>(), "-append", image.CommandLine,
    ]);

    private static bool CommandLineKnowsEngines(string script)
    {
        using Process process = Process.Start(new ProcessStartInfo(script, ["run", "--help"]) { RedirectStandardOutput = true })!;
        return process.StandardOutput.ReadToEnd().Contains("--engine", StringComparison.Ordinal);
    }
}
