using Emulator;
using Microsoft.Win32.SafeHandles;
using Snapshots.Kdump;

namespace Snapshots;

/// <summary>How pages are compressed.</summary>
public enum PageCompression
{
    /// <summary>zstd: the smallest and the fastest; read by crash and drgn.</summary>
    Zstd,

    /// <summary>zlib: read by every tool, makedumpfile included.</summary>
    Zlib,
}

/// <summary>How an archive is written.</summary>
public sealed record ArchiveWriterOptions
{
    /// <summary>How pages are compressed.</summary>
    public PageCompression Compression { get; init; }

    /// <summary>
    /// Take the time to make it small: a page that zstd leaves large is tried with zlib too. Else the file is on the disk
    /// as soon as can be, and <see cref="Store.Shrink"/> can do the rest later.
    /// </summary>
    public bool Thorough { get; init; } = true;

    /// <summary>zstd's level, 1 … 19.</summary>
    public int Level { get; init; } = 1;

    /// <summary>Threads that compress. 1 is the caller's alone, which leaves the other CPUs to the guest.</summary>
    public int Parallelism { get; init; } = 1;
}

/// <summary>How far a long operation is.</summary>
/// <param name="PagesDone">Pages of RAM dealt with.</param>
/// <param name="PagesTotal">Pages of RAM.</param>
/// <param name="Bytes">Bytes of the archive written, or read.</param>
public readonly record struct ArchiveProgress(long PagesDone, long PagesTotal, long Bytes);

/// <summary>
/// Writes a machine into one kdump-compressed file that crash, drgn and makedumpfile open as it is; docs/archive-format.md
/// has the layout. The file appears under its name only when it is whole and on the disk.
/// </summary>
public static class ArchiveWriter
{
    /// <summary>This program, as it signs an archive.</summary>
    internal static string Signature { get; } = $"gdbstub {typeof(ArchiveWriter).Assembly.GetName().Version?.ToString(3)}";

    /// <summary>Writes a snapshot; see the other overload.</summary>
    public static void Write(
        string path, string id, Snapshot snapshot, ArchiveWriterOptions? options = null,
        IProgress<ArchiveProgress>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        Write(path, id, snapshot, snapshot.State, snapshot.Info, options, progress, cancellation);
    }

    /// <summary>
    /// Writes <paramref name="view"/> to <paramref name="path"/>, which must not exist. Takes as long as it takes, on the
    /// caller's thread. Throws <see cref="ArchiveException"/> (a full disk among its causes) and
    /// <see cref="OperationCanceledException"/>; neither leaves a file behind.
    /// </summary>
    public static void Write(
        string path, string id, IMachineView view, MachineState? state, CaptureInfo info, ArchiveWriterOptions? options = null,
        IProgress<ArchiveProgress>? progress = null, CancellationToken cancellation = default)
    {
        string directory = Path.GetDirectoryName(Path.GetFullPath(path))!;
        string temporary = Path.Combine(directory, $".{Path.GetFileName(path)}.{Guid.NewGuid():n}.partial");
        SafeFileHandle handle;
        try
        {
            if (File.Exists(path))
            {
                throw new ArchiveException($"{path}: the file exists; an archive is never overwritten");
            }

            handle = HostFiles.CreateNew(temporary);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or (IOException and not ArchiveException))
        {
            throw new ArchiveException($"{path}: cannot be written: {e.Message}", e);
        }

        using (handle)
        {
            Write(handle, temporary, path, id, view, state, info, options, progress, cancellation);
        }
    }

    /// <summary>Fills the open temporary file, then gives it its name. The temporary file is gone afterwards, whatever happens.</summary>
    internal static void Write(
        SafeFileHandle handle, string temporary, string path, string id, IMachineView view, MachineState? state, CaptureInfo info,
        ArchiveWriterOptions? options, IProgress<ArchiveProgress>? progress, CancellationToken cancellation) =>
        Write(handle, temporary, path, id, view, state, info, options, progress, cancellation, _ =>
        {
            File.Move(temporary, path, overwrite: false);
            HostFiles.FlushDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            return true;
        });

    /// <summary>
    /// Fills the open temporary file and has it on the disk; then <paramref name="publish"/>, told how long it is, gives it a
    /// name, or does not and returns false. The temporary file is gone afterwards, whatever happens.
    /// </summary>
    internal static bool Write(
        SafeFileHandle handle, string temporary, string path, string id, IMachineView view, MachineState? state, CaptureInfo info,
        ArchiveWriterOptions? options, IProgress<ArchiveProgress>? progress, CancellationToken cancellation, Func<long, bool> publish)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(info);
        bool published = false;
        try
        {
            var archive = new ArchiveInfo { Id = id, Writer = Signature, Capture = Bounded(info) };
            using (var stream = new ArchiveStream(handle, view, state, archive, options ?? new ArchiveWriterOptions()))
            {
                stream.Write(progress, cancellation);
            }

            RandomAccess.FlushToDisk(handle);
            published = publish(RandomAccess.GetLength(handle));
            return published;
        }
        catch (Exception e) when (e is UnauthorizedAccessException or (IOException and not ArchiveException))
        {
            throw new ArchiveException($"{path}: the archive could not be written: {e.Message}", e);
        }
        finally
        {
            if (!published)
            {
                TryDelete(temporary);
            }
        }
    }

    private static CaptureInfo Bounded(CaptureInfo info) => info with
    {
        PanicText = info.PanicText is { Length: > ArchiveLimits.PanicTextLength } text ? text[..ArchiveLimits.PanicTextLength] : info.PanicText,
        Vmcoreinfo = info.Vmcoreinfo is { Length: > ArchiveLimits.VmcoreinfoBytes } ? null : info.Vmcoreinfo,
    };

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The error that brought us here matters more; the store clears the leaving away at its next opening.
        }
    }
}
