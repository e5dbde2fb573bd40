namespace GuestOs.Linux.Symbols;

/// <summary>Tables of the kernel's, read whole: each reader names the limit it allows.</summary>
internal static class KernelBytes
{
    private const int ChunkBytes = 1 << 20;

    /// <summary>
    /// Reads from <paramref name="start"/> up to <paramref name="end"/>; null when the range is empty, longer than
    /// <paramref name="limit"/> or not all there.
    /// </summary>
    public static byte[]? Read(KernelMemory memory, ulong start, ulong end, int limit) =>
        end <= start || end - start > (ulong)limit ? null : Read(memory, start, (int)(end - start));

    /// <summary>Reads as much of a range as is there, at most <paramref name="length"/> bytes. Allocates as memory is found, not as asked.</summary>
    public static byte[] ReadUpTo(KernelMemory memory, ulong start, int length)
    {
        byte[] bytes = [];
        while (bytes.Length < length)
        {
            int done = bytes.Length;
            Array.Resize(ref bytes, Math.Min(length, Math.Max(ChunkBytes, 2 * done)));
            int read = memory.Read(start + (ulong)done, bytes.AsSpan(done));
            if (done + read < bytes.Length)
            {
                Array.Resize(ref bytes, done + read);
                break;
            }
        }

        return bytes;
    }

    private static byte[]? Read(KernelMemory memory, ulong start, int length)
    {
        byte[] bytes = ReadUpTo(memory, start, length);
        return bytes.Length == length ? bytes : null;
    }
}
