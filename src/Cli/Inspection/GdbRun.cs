using System.ComponentModel;
using System.Diagnostics;
using System.Text;

namespace Cli.Inspection;

/// <summary>One headless gdb on one script.</summary>
internal static class GdbRun
{
    /// <summary>Characters kept of what it prints; the rest is read and thrown away.</summary>
    public const int MostOutput = 16 << 20;

    private const int SignalBase = 128;

    /// <summary>Runs it to its end, or kills it and all it started when it takes too long.</summary>
    public static async Task<(InspectionStatus Status, int? ExitCode, string Output, bool IsCut)> RunAsync(string script, TimeSpan limit, CancellationToken cancellation)
    {
        // A shell joins the streams, so that an error stands where it came.
        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec gdb -nx -q -batch -x \"$0\" 2>&1", script])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            StandardOutputEncoding = Encoding.UTF8,
        };
        using Process gdb = Process.Start(start) ?? throw new Win32Exception();
        gdb.StandardInput.Close();
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(limit);
        var output = new StringBuilder();
        bool cut = false;
        Task reading = ReadAsync();
        try
        {
            await gdb.WaitForExitAsync(patience.Token);

            // Whatever it left behind may hold the pipe open for ever.
            await Task.WhenAny(reading, Task.Delay(TimeSpan.FromSeconds(2), CancellationToken.None));
        }
        catch (OperationCanceledException)
        {
            gdb.Kill(entireProcessTree: true);
            await gdb.WaitForExitAsync(CancellationToken.None);
            await Task.WhenAny(reading, Task.Delay(TimeSpan.FromSeconds(2), CancellationToken.None));
            return (cancellation.IsCancellationRequested ? InspectionStatus.Cancelled : InspectionStatus.TimedOut, null, Printed(), cut);
        }

        InspectionStatus status = gdb.ExitCode == 0 ? InspectionStatus.Ok
            : gdb.ExitCode > SignalBase ? InspectionStatus.Crashed
            : InspectionStatus.Failed;
        return (status, gdb.ExitCode, Printed(), cut);

        async Task ReadAsync()
        {
            char[] buffer = new char[8192];
            while (await gdb.StandardOutput.ReadAsync(buffer) is > 0 and var count)
            {
                lock (output)
                {
                    int kept = Math.Min(count, MostOutput - output.Length);
                    output.Append(buffer, 0, kept);
                    cut |= kept < count;
                }
            }
        }

        string Printed()
        {
            lock (output)
            {
                return output.ToString();
            }
        }
    }
}
