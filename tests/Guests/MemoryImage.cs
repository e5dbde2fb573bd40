using System.Buffers.Binary;
using Iced.Intel;

namespace Guests;

/// <summary>
/// Code and data at fixed addresses, and the files they can be wrapped into. Fixed addresses let 16-, 32- and 64-bit
/// code, which the assembler cannot mix, refer to each other.
/// </summary>
internal sealed class MemoryImage
{
    private readonly SortedDictionary<ulong, byte[]> blocks = [];

    /// <summary>Assembles at an address; <paramref name="room"/> is the most bytes it may take.</summary>
    public byte[] Code(int bitness, ulong address, int room, Action<Assembler> write)
    {
        var assembler = new Assembler(bitness);
        write(assembler);
        return Code(assembler, address, room);
    }

    /// <summary>Encodes what was assembled.</summary>
    public byte[] Code(Assembler assembler, ulong address, int room)
    {
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), address);
        byte[] bytes = stream.ToArray();
        if (bytes.Length > room)
        {
            throw new InvalidOperationException($"code at {address:x}h takes {bytes.Length:x}h bytes of {room:x}h");
        }

        Data(address, bytes);
        return bytes;
    }

    /// <summary>Puts bytes at an address nothing else is at.</summary>
    public void Data(ulong address, byte[] bytes)
    {
        foreach ((ulong start, byte[] other) in blocks)
        {
            if (address < start + (ulong)other.Length && start < address + (ulong)bytes.Length)
            {
                throw new InvalidOperationException($"{address:x}h+{bytes.Length:x}h overlaps {start:x}h+{other.Length:x}h");
            }
        }

        blocks.Add(address, bytes);
    }

    /// <summary>The bytes from <paramref name="start"/> to the end of the last block.</summary>
    public byte[] Flatten(ulong start)
    {
        (ulong last, byte[] tail) = blocks.Last();
        var bytes = new byte[last + (ulong)tail.Length - start];
        foreach ((ulong address, byte[] block) in blocks)
        {
            block.CopyTo(bytes, (int)(address - start));
        }

        return bytes;
    }

    /// <summary>ELF32 with one segment from <paramref name="start"/>; the Multiboot header stands before the segment in the file.</summary>
    public byte[] ToMultibootElf(ulong start, ulong entry, uint bssBytes = 0)
    {
        const int dataOffset = 0x1000;
        byte[] content = Flatten(start);
        var file = new byte[dataOffset + content.Length];
        "\u007FELF"u8.CopyTo(file);
        file[4] = file[5] = file[6] = 1;
        Put16(file, 16, 2);
        Put16(file, 18, 3);
        Put32(file, 20, 1);
        Put32(file, 24, (uint)entry);
        Put32(file, 28, 52);
        Put16(file, 40, 52);
        Put16(file, 42, 32);
        Put16(file, 44, 1);
        Put32(file, 52, 1);
        Put32(file, 56, dataOffset);
        Put32(file, 60, (uint)start);
        Put32(file, 64, (uint)start);
        Put32(file, 68, (uint)content.Length);
        Put32(file, 72, (uint)content.Length + bssBytes);
        Put32(file, 76, 7);
        Put32(file, 80, dataOffset);

        const uint flags = 3; // modules on page boundaries, memory information
        Put32(file, 0x100, 0x1BAD_B002);
        Put32(file, 0x104, flags);
        Put32(file, 0x108, unchecked(0 - 0x1BAD_B002U - flags));
        content.CopyTo(file, dataOffset);
        return file;
    }

    /// <summary>ELF64 with one segment from <paramref name="start"/> and a PVH note naming <paramref name="entry"/>.</summary>
    public byte[] ToPvhElf(ulong start, ulong entry)
    {
        const int dataOffset = 0x1000;
        const int noteOffset = 0x200;
        byte[] content = Flatten(start);
        var file = new byte[dataOffset + content.Length];
        "\u007FELF"u8.CopyTo(file);
        file[4] = 2;
        file[5] = file[6] = 1;
        Put16(file, 16, 2);
        Put16(file, 18, 62);
        Put32(file, 20, 1);
        Put64(file, 24, entry);
        Put64(file, 32, 64);
        Put16(file, 52, 64);
        Put16(file, 54, 56);
        Put16(file, 56, 2);

        Put32(file, 64, 1);
        Put32(file, 68, 7);
        Put64(file, 72, dataOffset);
        Put64(file, 80, start);
        Put64(file, 88, start);
        Put64(file, 96, (ulong)content.Length);
        Put64(file, 104, (ulong)content.Length);
        Put64(file, 112, dataOffset);

        Put32(file, 120, 4);
        Put32(file, 124, 4);
        Put64(file, 128, noteOffset);
        Put64(file, 152, 24);
        Put64(file, 160, 24);
        Put64(file, 168, 4);

        Put32(file, noteOffset, 4);
        Put32(file, noteOffset + 4, 8);
        Put32(file, noteOffset + 8, 18);
        "Xen\0"u8.CopyTo(file.AsSpan(noteOffset + 12));
        Put64(file, noteOffset + 16, entry);
        content.CopyTo(file, dataOffset);
        return file;
    }

    /// <summary>512 bytes from 7C00h with the signature a BIOS looks for.</summary>
    public byte[] ToBootSector()
    {
        byte[] content = Flatten(0x7C00);
        if (content.Length > 510)
        {
            throw new InvalidOperationException($"a boot sector holds 510 bytes, not {content.Length}");
        }

        Array.Resize(ref content, 512);
        content[510] = 0x55;
        content[511] = 0xAA;
        return content;
    }

    private static void Put16(byte[] file, int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(offset), value);

    private static void Put32(byte[] file, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(offset), value);

    private static void Put64(byte[] file, int offset, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(offset), value);
}
