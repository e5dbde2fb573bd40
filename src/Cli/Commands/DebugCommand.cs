using System.CommandLine;
using System.ComponentModel;
using System.Diagnostics;
using Cli.Archives;
using Cli.Arguments;
using Debugging.Kernels;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging;

namespace Cli.Commands;

/// <summary>gdbstub debug: gdb on an archive, in one command.</summary>
internal sealed class DebugCommand : Command, IExample
{
    private readonly Argument<string> archive = CommonOptions.ArchiveIdOrFile();

    private readonly Argument<string[]> arguments = new("gdb arguments")
    {
        Description = "For gdb, behind --",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<string?> rawBase = CommonOptions.RawBase();
    private readonly Option<string?> store = CommonOptions.Store();
    private readonly KernelChoices kernels = new();

    /// <summary>The command.</summary>
    public DebugCommand()
        : base("debug", "Opens an archived machine in gdb.")
    {
        Add(archive);
        Add(arguments);
        Add(rawBase);
        Add(store);
        kernels.AddTo(this);
        SetAction((parsed, _) =>
        {
            string directory = CommonOptions.ReadStore(parsed, store);
            ulong? ram = CommonOptions.ReadRawBase(parsed, rawBase);
            string path = ArchiveReference.ResolvePath(parsed.GetRequiredValue(archive), directory);
            return DebugAsync(path, ram, directory, kernels.Read(parsed), parsed.GetValue(arguments) ?? [], CommonOptions.ReadLogLevel(parsed));
        });
    }

    /// <inheritdoc/>
    public string Example => "gdbstub debug latest\ngdbstub debug latest -- -batch -ex bt -ex 'info registers rip' vmlinux";

    private static async Task<int> DebugAsync(string path, ulong? rawBase, string store, KernelSymbols kernels, string[] arguments, LogLevel level)
    {
        // A directory of ours with mode 0700, so that nobody else can even try the socket.
        DirectoryInfo directory = Directory.CreateTempSubdirectory("gdbstub-");
        try
        {
            using ILoggerFactory loggers = Logging.Create(level);
            var endpoint = new GdbEndpoint.Unix(Path.Combine(directory.FullName, "gdb"));
            await using ArchiveServer server = ArchiveServer.Start(path, rawBase, store, resume: false, kernels, endpoint, expose: false, loggers.CreateLogger("gdb"));
            return await RunGdbAsync(endpoint.Path, arguments);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private static async Task<int> RunGdbAsync(string socket, string[] arguments)
    {
        var start = new ProcessStartInfo("gdb") { UseShellExecute = false };
        foreach (string argument in (string[])["-q", "-ex", $"target remote {socket}", .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        // Ctrl-C is gdb's own; with the other signals gdb goes as we go.
        Process? gdb = null;
        using var signals = new SignalWatch(request =>
        {
            if (!request.IsInterrupt)
            {
                gdb?.Kill();
            }
        });
        try
        {
            gdb = Process.Start(start)!;
        }
        catch (Win32Exception missing)
        {
            throw new UserError("gdb cannot be started: install it (scripts/install-tools demo, or apt-get install gdb)", missing);
        }

        using (gdb)
        {
            await gdb.WaitForExitAsync();
            return gdb.ExitCode;
        }
    }
}
