namespace Snapshots;

/// <summary>
/// An archive or a store that cannot be read or written. The message names the file and what is wrong; for a file's
/// contents also where: the byte offset and the field.
/// </summary>
public sealed class ArchiveException : IOException
{
    /// <summary>An error of a file or directory as a whole.</summary>
    public ArchiveException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }

    /// <summary>An error at a place in a file.</summary>
    public ArchiveException(string path, long offset, string field, string problem, Exception? inner = null)
        : base($"{path}: offset 0x{offset:x}: {field}: {problem}", inner)
    {
        FileOffset = offset;
        Field = field;
        Problem = problem;
    }

    /// <summary>Byte offset in the file; null when the error has no place.</summary>
    public long? FileOffset { get; }

    /// <summary>Name of the field, as docs/archive-format.md has it; for a page its guest-physical address.</summary>
    public string? Field { get; }

    /// <summary>What is wrong with the field.</summary>
    public string? Problem { get; }
}
