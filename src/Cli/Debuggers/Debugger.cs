using System.ComponentModel;
using System.Diagnostics;

namespace Cli.Debuggers;

/// <summary>A debugger of this host, started on a socket of ours.</summary>
/// <param name="Program">Its name.</param>
/// <param name="Arguments">What it is told.</param>
internal sealed record Debugger(string Program, IReadOnlyList<string> Arguments)
{
    /// <summary>gdb. It connects, then does what the person wants.</summary>
    public static Debugger Gdb(string socket, DebuggerFiles files, IEnumerable<string> arguments)
    {
        List<string> all = ["-q"];
        if (files.SymbolFile is not null)
        {
            all.AddRange(["-iex", $"set sysroot {files.Root}"]);
        }

        if (files.FramesFile is not null)
        {
            // Of two files gdb believes the one it read first.
            all.AddRange(["-iex", Silently($"add-symbol-file {files.FramesFile}")]);
        }

        all.AddRange(["-ex", $"target remote {socket}"]);
        foreach (string file in files.ModuleFiles)
        {
            all.AddRange(["-ex", Silently($"add-symbol-file {file}")]);
        }

        return new Debugger("gdb", [.. all, .. arguments]);
    }

    // By way of Python gdb neither asks nor lists what it was told.
    private static string Silently(string command) => $"python gdb.execute('{command}', False, True)";

    /// <summary>lldb, which takes symbols from no server.</summary>
    public static Debugger Lldb(string socket, DebuggerFiles files, IEnumerable<string> arguments)
    {
        string[] file = files.SymbolFile is null ? [] : [files.SymbolFile];
        return new Debugger("lldb", [.. file, "-o", $"process connect --plugin gdb-remote unix-connect://{socket}", .. arguments]);
    }

    /// <summary>Runs it on our terminal; returns its exit code. Ctrl-C is the debugger's own; with other signals it goes as we go.</summary>
    public async Task<int> RunAsync()
    {
        var start = new ProcessStartInfo(Program) { UseShellExecute = false };
        foreach (string argument in Arguments)
        {
            start.ArgumentList.Add(argument);
        }

        Process? process = null;
        using var signals = new SignalWatch(request =>
        {
            if (!request.IsInterrupt)
            {
                process?.Kill();
            }
        });
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception missing)
        {
            throw new UserError($"{Program} cannot be started: install it (apt-get install {Program})", missing);
        }

        using (process)
        {
            await process.WaitForExitAsync();
            return process.ExitCode;
        }
    }
}
