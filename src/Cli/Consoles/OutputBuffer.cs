namespace Cli.Consoles;

/// <summary>
/// Gathers what a guest sends byte by byte into few writes, none later than a moment after its first byte. A reader that
/// is slow slows the guest down; one that went away is forgotten.
/// </summary>
internal sealed class OutputBuffer : IDisposable
{
    private const int Capacity = 4096;
    private static readonly TimeSpan Latency = TimeSpan.FromMilliseconds(10);

    private readonly Lock gate = new();
    private readonly Stream destination;
    private readonly Timer timer;
    private readonly byte[] buffer = new byte[Capacity];
    private int count;
    private bool atLineStart = true;
    private bool gone;

    /// <summary>In front of <paramref name="destination"/>, which is flushed but not closed.</summary>
    public OutputBuffer(Stream destination)
    {
        this.destination = destination;
        timer = new Timer(_ => Flush());
    }

    /// <summary>Takes bytes.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        lock (gate)
        {
            Append(bytes);
        }
    }

    /// <summary>Writes whole lines at once, beginning on a line of their own.</summary>
    public void WriteLines(ReadOnlySpan<byte> lines)
    {
        lock (gate)
        {
            if (!atLineStart)
            {
                Append("\n"u8);
            }

            Append(lines);
            FlushLocked();
        }
    }

    /// <summary>Writes what was gathered.</summary>
    public void Flush()
    {
        lock (gate)
        {
            FlushLocked();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        timer.Dispose();
        Flush();
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return;
        }

        atLineStart = bytes[^1] == '\n';
        while (!bytes.IsEmpty)
        {
            if (count == 0)
            {
                timer.Change(Latency, Timeout.InfiniteTimeSpan);
            }

            int part = Math.Min(bytes.Length, Capacity - count);
            bytes[..part].CopyTo(buffer.AsSpan(count));
            count += part;
            bytes = bytes[part..];
            if (count == Capacity)
            {
                FlushLocked();
            }
        }
    }

    private void FlushLocked()
    {
        if (count > 0 && !gone)
        {
            try
            {
                destination.Write(buffer, 0, count);
                destination.Flush();
            }
            catch (IOException)
            {
                gone = true;
            }
        }

        count = 0;
    }
}
