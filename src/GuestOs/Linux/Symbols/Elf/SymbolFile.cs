namespace GuestOs.Linux.Symbols.Elf;

/// <summary>
/// An ELF file made for one kernel where it was loaded: symbols, unwinding tables and types, at run-time addresses. A
/// debugger that has it needs nothing else. Never changes; any thread may read.
/// </summary>
public sealed class SymbolFile
{
    private readonly ReadOnlyMemory<byte>[] parts;
    private readonly long[] starts;

    internal SymbolFile(SymbolFileKey key, IEnumerable<ReadOnlyMemory<byte>> parts)
    {
        Key = key;
        this.parts = [.. parts];
        starts = new long[this.parts.Length];
        for (int i = 0; i < starts.Length; i++)
        {
            starts[i] = Length;
            Length += this.parts[i].Length;
        }
    }

    /// <summary>What it was made for.</summary>
    public SymbolFileKey Key { get; }

    /// <summary>Bytes of the file.</summary>
    public long Length { get; }

    /// <summary>Copies from a place on; returns how many bytes there were, 0 at and beyond the end.</summary>
    public int Read(long offset, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        int done = 0;
        int part = Array.BinarySearch(starts, offset);
        for (part = part < 0 ? ~part - 1 : part; part < parts.Length && done < destination.Length; part++)
        {
            long skipped = offset + done - starts[part];
            if (skipped < parts[part].Length)
            {
                ReadOnlySpan<byte> from = parts[part].Span[(int)skipped..];
                int count = Math.Min(from.Length, destination.Length - done);
                from[..count].CopyTo(destination[done..]);
                done += count;
            }
        }

        return done;
    }

    /// <summary>Writes the whole file.</summary>
    public void WriteTo(Stream destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        foreach (ReadOnlyMemory<byte> part in parts)
        {
            destination.Write(part.Span);
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Key.Release}, {Length} bytes";
}
