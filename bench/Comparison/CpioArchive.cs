using System.Globalization;
using System.Text;

namespace Bench.Comparison;

/// <summary>
/// An initial RAM disk's archive, in the format the kernel calls "newc" (Linux, Documentation/driver-api/early-userspace/
/// buffer-format.rst). One archive behind another is unpacked over it.
/// </summary>
internal sealed class CpioArchive
{
    private const uint Directory = 0x4000, Regular = 0x8000;
    private readonly MemoryStream bytes = new();
    private uint inode;

    /// <summary>A directory; its parent comes first.</summary>
    public void AddDirectory(string name) => Add(name, Directory | 0x1ED, []);

    /// <summary>A file anybody may run.</summary>
    public void AddProgram(string name, ReadOnlySpan<byte> content) => Add(name, Regular | 0x1ED, content);

    /// <summary>The whole, the end record included.</summary>
    public byte[] ToArray()
    {
        Add("TRAILER!!!", 0, []);
        return bytes.ToArray();
    }

    private void Add(string name, uint mode, ReadOnlySpan<byte> content)
    {
        inode++;
        Span<uint> fields = [inode, mode, 0, 0, 1, 0, (uint)content.Length, 0, 0, 0, 0, (uint)name.Length + 1, 0];
        bytes.Write("070701"u8);
        foreach (uint field in fields)
        {
            bytes.Write(Encoding.ASCII.GetBytes(field.ToString("x8", CultureInfo.InvariantCulture)));
        }

        bytes.Write(Encoding.ASCII.GetBytes(name));
        bytes.WriteByte(0);
        Align();
        bytes.Write(content);
        Align();
    }

    private void Align()
    {
        while (bytes.Length % 4 != 0)
        {
            bytes.WriteByte(0);
        }
    }
}
