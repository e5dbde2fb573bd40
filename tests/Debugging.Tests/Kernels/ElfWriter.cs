using System.Buffers.Binary;
using System.Text;

namespace Debugging.Tests.Kernels;

/// <summary>A 64-bit ELF file of named sections, written from the gABI's tables.</summary>
internal sealed class ElfWriter
{
    private readonly List<(string Name, uint Type, ulong Flags, byte[] Bytes)> sections = [];

    public ElfWriter Section(string name, byte[] bytes, uint type = 1, ulong flags = 0)
    {
        sections.Add((name, type, flags, bytes));
        return this;
    }

    /// <summary>The linker's note; kernels keep it in .notes behind one of their own.</summary>
    public ElfWriter BuildId(string id)
    {
        byte[] own = [6, 0, 0, 0, 4, 0, 0, 0, 0, 1, 0, 0, .. "Linux\0\0\0"u8, 1, 2, 3, 4];
        return Section(".notes", [.. own, 4, 0, 0, 0, (byte)(id.Length / 2), 0, 0, 0, 3, 0, 0, 0, .. "GNU\0"u8, .. Convert.FromHexString(id)], type: 7);
    }

    public byte[] Build()
    {
        var names = new MemoryStream();
        names.WriteByte(0);
        (string, uint Type, ulong Flags, byte[])[] all = [.. sections, (".shstrtab", 3, 0, [])];
        int[] nameAt = new int[all.Length];
        for (int i = 0; i < all.Length; i++)
        {
            nameAt[i] = (int)names.Length;
            names.Write(Encoding.ASCII.GetBytes(all[i].Item1 + "\0"));
        }

        all[^1] = (".shstrtab", 3, 0, names.ToArray());
        var file = new MemoryStream();
        file.Write(new byte[64]);
        long[] at = new long[all.Length];
        for (int i = 0; i < all.Length; i++)
        {
            at[i] = file.Length;
            file.Write(all[i].Item4);
        }

        long headers = file.Length;
        file.Write(new byte[64]);
        for (int i = 0; i < all.Length; i++)
        {
            byte[] header = new byte[64];
            BinaryPrimitives.WriteInt32LittleEndian(header, nameAt[i]);
            BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(4), all[i].Type);
            BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(8), all[i].Flags);
            BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(24), at[i]);
            BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(32), all[i].Item4.Length);
            file.Write(header);
        }

        byte[] bytes = file.ToArray();
        "\u007fELF\u0002\u0001\u0001"u8.CopyTo(bytes);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(40), headers);
        BinaryPrimitives.WriteInt16LittleEndian(bytes.AsSpan(58), 64);
        BinaryPrimitives.WriteInt16LittleEndian(bytes.AsSpan(60), (short)(all.Length + 1));
        BinaryPrimitives.WriteInt16LittleEndian(bytes.AsSpan(62), (short)all.Length);
        return bytes;
    }
}
