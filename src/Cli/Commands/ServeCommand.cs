using System.CommandLine;
using Cli.Archives;
using Cli.Arguments;
using Debugging.Kernels;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging;

namespace Cli.Commands;

/// <summary>gdbstub serve: an archive for debuggers, until a signal ends it.</summary>
internal sealed class ServeCommand : Command, IExample
{
    private readonly Argument<string> archive = CommonOptions.ArchiveIdOrFile();
    private readonly Option<string?> gdb = CommonOptions.Gdb();
    private readonly Option<bool> expose = CommonOptions.GdbExpose();
    private readonly Option<string?> rawBase = CommonOptions.RawBase();
    private readonly Option<string?> store = CommonOptions.Store();
    private readonly KernelChoices kernels = new();

    private readonly Option<bool> resume = new("--resume")
    {
        Description = "Continuing or stepping runs a private copy of the machine, from the crash on",
    };

    /// <summary>The command.</summary>
    public ServeCommand()
        : base("serve", "Serves an archived machine to gdb and lldb. What they write stays theirs; the file is only read.")
    {
        Add(archive);
        Add(gdb);
        Add(expose);
        Add(rawBase);
        Add(store);
        kernels.AddTo(this);
        Add(resume);
        SetAction((parsed, _) =>
        {
            GdbEndpoint endpoint = CommonOptions.ReadGdb(parsed, gdb, expose) ?? throw new UsageError("--gdb none leaves nothing to serve");
            string directory = CommonOptions.ReadStore(parsed, store);
            ulong? ram = CommonOptions.ReadRawBase(parsed, rawBase);
            string path = ArchiveReference.ResolvePath(parsed.GetRequiredValue(archive), directory);
            return ServeAsync(path, ram, directory, parsed.GetValue(resume), kernels.Read(parsed), endpoint, parsed.GetValue(expose), CommonOptions.ReadLogLevel(parsed));
        });
    }

    /// <inheritdoc/>
    public string Example => """
        gdbstub serve latest --gdb tcp:127.0.0.1:1234
        gdbstub serve latest --resume
        gdbstub serve ./vmcore
        gdb -ex 'target remote | gdbstub serve latest --gdb stdio'
        """;

    private static async Task<int> ServeAsync(string path, ulong? rawBase, string store, bool resume, KernelSymbols kernels, GdbEndpoint endpoint, bool expose, LogLevel level)
    {
        // Before anything is said: who reads where to connect may send the signal at once.
        var ended = new TaskCompletionSource();
        using var signals = new SignalWatch(_ => ended.TrySetResult());
        using ILoggerFactory loggers = Logging.Create(level);
        await using ArchiveServer server = ArchiveServer.Start(path, rawBase, store, resume, kernels, endpoint, expose, loggers.CreateLogger("gdb"));
        if (GdbAddress.Warn(endpoint) is { } warning)
        {
            Console.Error.WriteLine($"gdbstub: {warning}");
        }

        if (endpoint is not GdbEndpoint.Stdio)
        {
            Console.Error.WriteLine($"gdb: target remote {server.Listener.Endpoint.TargetRemote}");
        }

        await Task.WhenAny(server.Listener.Completion, ended.Task);
        return ExitCode.Success;
    }
}
