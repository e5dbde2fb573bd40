using System.ComponentModel;
using System.Diagnostics;
using Cli.Pages;
using Snapshots;

namespace Cli.Inspection;

/// <summary>Inspects images, several at a time, each by a gdb and a stub of its own: whatever one does, the others go on.</summary>
/// <param name="steps">What to do with each.</param>
/// <param name="serveOptions">Options for the stub beside the image.</param>
/// <param name="jobs">How many at a time.</param>
/// <param name="limit">How long each may take.</param>
internal sealed class Inspector(IReadOnlyList<InspectionStep> steps, IReadOnlyList<string> serveOptions, int jobs, TimeSpan limit)
{
    /// <summary>Inspects all; tells <paramref name="done"/>, one at a time, of each that is done, in any order.</summary>
    public async Task<IReadOnlyList<InspectionResult>> RunAsync(
        IReadOnlyList<InspectedImage> images, Action<int, InspectionResult> done, CancellationToken cancellation)
    {
        var results = new InspectionResult[images.Count];
        var gate = new Lock();

        // A directory of ours with mode 0700: the scripts name files and say what a guest said.
        DirectoryInfo directory = Directory.CreateTempSubdirectory("gdbstub-");
        try
        {
            await Parallel.ForEachAsync(
                Enumerable.Range(0, images.Count),
                new ParallelOptions { MaxDegreeOfParallelism = jobs },
                async (index, _) =>
                {
                    InspectionResult result = await InspectAsync(images[index], Path.Combine(directory.FullName, $"{index}.gdb"), cancellation);
                    lock (gate)
                    {
                        results[index] = result;
                        done(index, result);
                    }
                });
        }
        finally
        {
            directory.Delete(recursive: true);
        }

        return results;
    }

    /// <summary>This program as a command for a shell.</summary>
    private static string Program()
    {
        string path = Environment.ProcessPath ?? throw new UserError("it is not known where this program is");
        return Path.GetFileNameWithoutExtension(path) == "dotnet"
            ? $"{AttachCommands.Quote(path)} {AttachCommands.Quote(Path.Combine(AppContext.BaseDirectory, "Cli.dll"))}"
            : AttachCommands.Quote(path);
    }

    private async Task<InspectionResult> InspectAsync(InspectedImage image, string script, CancellationToken cancellation)
    {
        long begin = Stopwatch.GetTimestamp();
        string title = "";
        if (cancellation.IsCancellationRequested)
        {
            return Result(InspectionStatus.Cancelled, null, "");
        }

        try
        {
            CaptureInfo capture = image.ReadCapture(out ulong memoryBytes);
            title = capture.Title;
            string raw = image.RawBase is { } address ? $" --raw-base 0x{address:x}" : "";
            string stub = $"{Program()} serve {AttachCommands.Quote(Path.GetFullPath(image.Path))} --gdb stdio{raw}{string.Concat(serveOptions.Select(option => " " + AttachCommands.Quote(option)))}";
            await File.WriteAllTextAsync(script, GdbScript.Write(stub, image, capture, memoryBytes, steps), CancellationToken.None);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return Result(InspectionStatus.Unreadable, null, failure.Message + "\n");
        }

        try
        {
            (InspectionStatus status, int? code, string output, bool cut) = await GdbRun.RunAsync(script, limit, cancellation);
            return Result(status, code, output) with { IsCut = cut };
        }
        catch (Win32Exception missing)
        {
            throw new UserError("gdb cannot be started: install it (scripts/install-tools demo, or apt-get install gdb)", missing);
        }

        InspectionResult Result(InspectionStatus status, int? code, string output) =>
            new(image, title, status, code, Stopwatch.GetElapsedTime(begin).TotalSeconds, output, false);
    }
}
