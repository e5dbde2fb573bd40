using System.CommandLine;
using Cli.Archives;
using Cli.Arguments;
using Cli.Debuggers;
using Debugging.Kernels;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging;

namespace Cli.Commands;

/// <summary>gdbstub debug: gdb or lldb on an archive, in one command.</summary>
internal sealed class DebugCommand : Command, IExample
{
    private readonly Argument<string> archive = CommonOptions.ArchiveIdOrFile();

    private readonly Argument<string[]> arguments = new("debugger arguments")
    {
        Description = "For the debugger, behind --",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<bool> lldb = new("--lldb") { Description = "lldb instead of gdb" };
    private readonly Option<string?> rawBase = CommonOptions.RawBase();
    private readonly Option<string?> store = CommonOptions.Store();
    private readonly KernelChoices kernels = new();

    /// <summary>The command.</summary>
    public DebugCommand()
        : base("debug", "Opens an archived machine in gdb or lldb, with the symbols of its kernel.")
    {
        Add(archive);
        Add(arguments);
        Add(lldb);
        Add(rawBase);
        Add(store);
        kernels.AddTo(this);
        SetAction((parsed, _) =>
        {
            string directory = CommonOptions.ReadStore(parsed, store);
            ulong? ram = CommonOptions.ReadRawBase(parsed, rawBase);
            KernelSymbols symbols = kernels.Read(parsed);
            bool isLldb = parsed.GetValue(lldb);
            if (isLldb && symbols.DebugFiles?.Named is not null)
            {
                throw new UsageError("lldb is given what the guest's memory tells, beside which it cannot use a debug file: leave --vmlinux or --lldb out");
            }

            string path = ArchiveReference.ResolvePath(parsed.GetRequiredValue(archive), directory);
            return DebugAsync(path, ram, directory, symbols, isLldb, parsed.GetValue(arguments) ?? [], CommonOptions.ReadLogLevel(parsed));
        });
    }

    /// <inheritdoc/>
    public string Example => "gdbstub debug latest\ngdbstub debug latest -- -batch -ex bt -ex 'info threads'\ngdbstub debug latest --lldb";

    private static async Task<int> DebugAsync(
        string path, ulong? rawBase, string store, KernelSymbols kernels, bool lldb, string[] arguments, LogLevel level)
    {
        // A directory of ours with mode 0700, so that nobody else can even try the socket.
        DirectoryInfo directory = Directory.CreateTempSubdirectory("gdbstub-");
        try
        {
            using ILoggerFactory loggers = Logging.Create(level);
            var endpoint = new GdbEndpoint.Unix(Path.Combine(directory.FullName, "gdb"));
            await using ArchiveServer server = ArchiveServer.Start(path, rawBase, store, resume: false, kernels, endpoint, expose: false, loggers.CreateLogger("gdb"));

            // lldb takes minutes over the whole debug information of a kernel, and cannot lay it over a file of other addresses.
            DebuggerFiles files = await server.WithKernelAsync(image => DebuggerFiles.Write(image, kernels, withDebugFile: !lldb, directory.FullName));
            Debugger debugger = lldb ? Debugger.Lldb(endpoint.Path, files, arguments) : Debugger.Gdb(endpoint.Path, files, arguments);
            return await debugger.RunAsync();
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }
}
