using System.Diagnostics;
using System.Text.Json;
using Snapshots.Tests;

namespace Conformance.Tests.Archives;

/// <summary>
/// A store with two crashes of one Debian machine, alike but for the time, as `gdbstub run --on-panic reboot` leaves it. Made by
/// the first test that asks, and only read.
/// </summary>
public sealed class DebianStore : IDisposable
{
    private readonly TemporaryDirectory directory = new();
    private readonly Lazy<Task> made;

    public DebianStore() => made = new(MakeAsync);

    /// <summary>The directory.</summary>
    internal string Path => directory.File("store");

    /// <summary>What the guest printed.</summary>
    internal string Console => File.ReadAllText(directory.File("console"));

    /// <summary>Makes it, or skips the test where there is no Debian guest.</summary>
    internal async Task<string> ReadyAsync()
    {
        DebianFiles.Kernel();
        DebianFiles.Initrd();
        await made.Value;
        return Path;
    }

    /// <summary>Runs the program on this store; returns exit code, standard output and standard error.</summary>
    internal static async Task<(int Code, string Output, string Error)> RunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo(System.IO.Path.Combine(AppContext.BaseDirectory, "Cli"), arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await error);
    }

    /// <summary>The same for what prints JSON and must succeed.</summary>
    internal static async Task<JsonElement> JsonAsync(params string[] arguments)
    {
        (int code, string output, string error) = await RunAsync(arguments);
        Assert.True(code == 0, error);
        using JsonDocument document = JsonDocument.Parse(output);
        return document.RootElement.Clone();
    }

    public void Dispose() => directory.Dispose();

    private async Task MakeAsync()
    {
        (int code, _, string error) = await RunAsync(
            "run", "--kernel", System.IO.Path.Combine(DebianFiles.Directory, "vmlinuz"), "--initrd", System.IO.Path.Combine(DebianFiles.Directory, "initrd"),
            "--append", "console=ttyS0 panic=-1 gdbstub.do=crash", "--on-panic", "reboot", "--max-reboots", "1", "--name", "debian",
            "--console", directory.File("console"), "--gdb", "none", "--store", Path);
        Assert.True(code == 3, error);
    }
}
