using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace Snapshots.Kdump;

/// <summary>
/// A file being read: positioned reads (a mapping would kill the process if somebody cut the file), numbers held against
/// their ranges, and errors that name file, offset and field.
/// </summary>
internal class ArchiveFile : IDisposable
{
    private readonly SafeFileHandle? handle;

    /// <summary>Opens for reading; others may do to the file what they like.</summary>
    public ArchiveFile(string path)
    {
        Path = path;
        try
        {
            handle = HostFiles.OpenRead(path);
            Length = RandomAccess.GetLength(handle);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            handle?.Dispose();
            throw new ArchiveException(e.Message.Contains(path, StringComparison.Ordinal) ? e.Message : $"{path}: {e.Message}", e);
        }
    }

    /// <summary>A file that is read through another.</summary>
    protected ArchiveFile(string path, long length)
    {
        Path = path;
        Length = length;
    }

    /// <summary>As given.</summary>
    public string Path { get; }

    /// <summary>Bytes when it was opened.</summary>
    public long Length { get; }

    /// <summary>Fills <paramref name="destination"/>; a file that ends earlier is an error about <paramref name="field"/>.</summary>
    public virtual void Read(long offset, Span<byte> destination, string field)
    {
        int done = 0;
        while (done < destination.Length)
        {
            int read;
            try
            {
                read = RandomAccess.Read(handle!, destination[done..], offset + done);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new ArchiveException(Path, offset + done, field, e.Message, e);
            }

            if (read == 0)
            {
                throw Bad(offset + done, field, $"the file ends here; {destination.Length - done} more bytes are needed");
            }

            done += read;
        }
    }

    /// <summary>A 32-bit number within a range.</summary>
    public int Number(ReadOnlySpan<byte> head, int offset, string field, int minimum, int maximum)
    {
        int value = BinaryPrimitives.ReadInt32LittleEndian(head[offset..]);
        return value >= minimum && value <= maximum ? value : throw OutOfRange(offset, field, value, minimum, maximum);
    }

    /// <summary>A 64-bit number within a range.</summary>
    public long LongNumber(ReadOnlySpan<byte> head, int offset, string field, long minimum, long maximum)
    {
        long value = BinaryPrimitives.ReadInt64LittleEndian(head[offset..]);
        return value >= minimum && value <= maximum ? value : throw OutOfRange(offset, field, value, minimum, maximum);
    }

    /// <summary>An error at a place in this file.</summary>
    public ArchiveException Bad(long offset, string field, string problem, Exception? inner = null) => new(Path, offset, field, problem, inner);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes what it has open.</summary>
    protected virtual void Dispose(bool disposing) => handle?.Dispose();

    private ArchiveException OutOfRange(long offset, string field, long value, long minimum, long maximum) => Bad(
        offset, field, minimum == maximum ? $"{value}, must be {minimum}" : $"{value}, must be {minimum} … {maximum}");
}
