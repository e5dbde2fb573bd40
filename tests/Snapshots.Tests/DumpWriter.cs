using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace Snapshots.Tests;

/// <summary>Dumps in the forms of others, written from their published descriptions and with none of the reader's code.</summary>
internal static class DumpWriter
{
    /// <summary>Pages of memory; null is one that was filtered out. The pages' numbers are their places.</summary>
    public static byte[] Kdump(byte[]?[] pages, int version, Func<byte[], (byte[] Bytes, int Flags)> pack, string vmcoreinfo, byte[]? notes = null)
    {
        int bitmap = 4096, sub = 2;
        var file = new MemoryStream();
        byte[] head = new byte[(1 + sub) * 4096];
        "KDUMP   "u8.CopyTo(head);
        Put32(head, 8, version);
        string[] names = ["Linux", "host", "6.1.0-test", "#1", "x86_64", "(none)"];
        for (int i = 0; i < names.Length; i++)
        {
            Encoding.ASCII.GetBytes(names[i]).CopyTo(head, 12 + (65 * i));
        }

        Put64(head, 408, 1_700_000_000);
        Put32(head, 428, 4096);
        Put32(head, 432, sub);
        Put32(head, 436, 2);
        Put32(head, 440, pages.Length);
        Put32(head, 460, 1);
        Put64(head, 4096, -4096);
        Put32(head, 4096 + 8, 31);
        int text = 4096 + 112;
        Encoding.ASCII.GetBytes(vmcoreinfo).CopyTo(head, text);
        Put64(head, 4096 + 32, text);
        Put64(head, 4096 + 40, vmcoreinfo.Length);
        if (version >= 4 && notes is not null)
        {
            notes.CopyTo(head, 8192);
            Put64(head, 4096 + 48, 8192);
            Put64(head, 4096 + 56, notes.Length);
        }

        if (version >= 6)
        {
            Put64(head, 4096 + 96, pages.Length);
        }

        file.Write(head);
        byte[] bits = new byte[2 * bitmap];
        for (int i = 0; i < pages.Length; i++)
        {
            bits[i / 8] |= (byte)(1 << (i % 8));
            bits[bitmap + (i / 8)] |= (byte)((pages[i] is null ? 0 : 1) << (i % 8));
        }

        file.Write(bits);
        byte[][] stored = [.. pages.OfType<byte[]>()];
        var data = new MemoryStream();
        byte[] descriptors = new byte[24 * stored.Length];
        long start = file.Length + descriptors.Length;
        for (int i = 0; i < stored.Length; i++)
        {
            (byte[] bytes, int flags) = pack(stored[i]);
            Put64(descriptors, 24 * i, start + data.Length);
            Put32(descriptors, (24 * i) + 8, bytes.Length);
            Put32(descriptors, (24 * i) + 12, flags);
            data.Write(bytes);
        }

        file.Write(descriptors);
        data.WriteTo(file);
        return file.ToArray();
    }

    public static (byte[] Bytes, int Flags) Raw(byte[] page) => (page, 0);

    public static (byte[] Bytes, int Flags) Zlib(byte[] page)
    {
        var bytes = new MemoryStream();
        using (var stream = new ZLibStream(bytes, CompressionLevel.Fastest, leaveOpen: true))
        {
            stream.Write(page);
        }

        return bytes.Length < 4096 ? (bytes.ToArray(), 1) : (page, 0);
    }

    public static (byte[] Bytes, int Flags) Snappy(byte[] page) => Snappier.Snappy.CompressToArray(page) is { Length: < 4096 } bytes ? (bytes, 4) : (page, 0);

    public static (byte[] Bytes, int Flags) Zstd(byte[] page)
    {
        using var compressor = new ZstdSharp.Compressor(3);
        byte[] bytes = compressor.Wrap(page).ToArray();
        return bytes.Length < 4096 ? (bytes, 0x20) : (page, 0);
    }

    /// <summary>A file in flattened form, cut into pieces of 1000 bytes, with a lie in front that a later piece corrects.</summary>
    public static byte[] Flatten(byte[] file)
    {
        var result = new MemoryStream();
        byte[] header = new byte[4096];
        "makedumpfile"u8.CopyTo(header);
        BinaryPrimitives.WriteInt64BigEndian(header.AsSpan(16), 1);
        BinaryPrimitives.WriteInt64BigEndian(header.AsSpan(24), 1);
        result.Write(header);
        Piece(500, new byte[5000]);
        for (int at = file.Length / 1000 * 1000; at >= 0; at -= 1000)
        {
            Piece(at, file.AsSpan(at, Math.Min(1000, file.Length - at)).ToArray());
        }

        Number(-1);
        Number(-1);
        return result.ToArray();

        void Piece(long offset, byte[] bytes)
        {
            if (bytes.Length != 0)
            {
                Number(offset);
                Number(bytes.Length);
                result.Write(bytes);
            }
        }

        void Number(long value)
        {
            byte[] bytes = new byte[8];
            BinaryPrimitives.WriteInt64BigEndian(bytes, value);
            result.Write(bytes);
        }
    }

    /// <summary>An ELF core: a note segment, then segments of memory with zeros behind what is stored.</summary>
    public static byte[] Elf(byte[] notes, params (ulong Virtual, ulong Physical, byte[] Bytes, ulong Length)[] segments)
    {
        int headers = 64 + (56 * (segments.Length + 1));
        var file = new MemoryStream();
        byte[] head = new byte[headers];
        "\u007FELF"u8.CopyTo(head);
        head[4] = 2;
        head[5] = head[6] = 1;
        Put16(head, 16, 4);
        Put16(head, 18, 62);
        Put32(head, 20, 1);
        Put64(head, 32, 64);
        Put16(head, 52, 64);
        Put16(head, 54, 56);
        Put16(head, 56, segments.Length + 1);
        long at = headers;
        Header(0, 4, 0, 0, notes.Length, notes.Length);
        for (int i = 0; i < segments.Length; i++)
        {
            Header(i + 1, 1, (long)segments[i].Virtual, (long)segments[i].Physical, segments[i].Bytes.Length, (long)segments[i].Length);
        }

        file.Write(head);
        file.Write(notes);
        foreach ((_, _, byte[] bytes, _) in segments)
        {
            file.Write(bytes);
        }

        return file.ToArray();

        void Header(int index, int type, long address, long physical, long stored, long length)
        {
            int entry = 64 + (56 * index);
            Put32(head, entry, type);
            Put64(head, entry + 8, at);
            Put64(head, entry + 16, address);
            Put64(head, entry + 24, physical);
            Put64(head, entry + 32, stored);
            Put64(head, entry + 40, length);
            at += stored;
        }
    }

    public static byte[] Note(string name, int type, byte[] descriptor)
    {
        byte[] note = new byte[12 + ((name.Length + 4) & ~3) + ((descriptor.Length + 3) & ~3)];
        Put32(note, 0, name.Length + 1);
        Put32(note, 4, descriptor.Length);
        Put32(note, 8, type);
        Encoding.ASCII.GetBytes(name).CopyTo(note, 12);
        descriptor.CopyTo(note, 12 + ((name.Length + 4) & ~3));
        return note;
    }

    /// <summary>NT_PRSTATUS: the process, and 27 registers that are their own numbers above a base.</summary>
    public static byte[] PrStatus(int process, long firstRegister)
    {
        byte[] descriptor = new byte[336];
        Put32(descriptor, 32, process);
        for (int i = 0; i < 27; i++)
        {
            Put64(descriptor, 112 + (8 * i), firstRegister + i);
        }

        return Note("CORE", 1, descriptor);
    }

    public static byte[] Lime(params (ulong Start, byte[] Bytes)[] ranges)
    {
        var file = new MemoryStream();
        foreach ((ulong start, byte[] bytes) in ranges)
        {
            byte[] header = new byte[32];
            "EMiL"u8.CopyTo(header);
            Put32(header, 4, 1);
            Put64(header, 8, (long)start);
            Put64(header, 16, (long)start + bytes.Length - 1);
            file.Write(header);
            file.Write(bytes);
        }

        return file.ToArray();
    }

    /// <summary>A state file of VMware's with one CPU in long mode; memory in two regions, inside the file when it is given.</summary>
    public static byte[] VmwareState(byte[]? memory, uint secondPage, uint secondFrame, uint secondSize)
    {
        var memoryGroup = new MemoryStream();
        (uint Page, uint Frame, uint Size)[] regions = [(0, 0, secondPage), (secondPage, secondFrame, secondSize)];
        for (int i = 0; i < regions.Length; i++)
        {
            Tag(memoryGroup, "regionPageNum", [i], BitConverter.GetBytes(regions[i].Page));
            Tag(memoryGroup, "regionPPN", [i], BitConverter.GetBytes(regions[i].Frame));
            Tag(memoryGroup, "regionSize", [i], BitConverter.GetBytes(regions[i].Size));
        }

        if (memory is not null)
        {
            memoryGroup.Write([63, 6, .. "Memory"u8, .. BitConverter.GetBytes((long)memory.Length), .. BitConverter.GetBytes((long)memory.Length), 3, 0, 9, 9, 9]);
            memoryGroup.Write(memory);
        }

        memoryGroup.Write([0, 0]);
        var cpuGroup = new MemoryStream();
        Tag(cpuGroup, "cpu:numVCPUs", [], BitConverter.GetBytes(1));
        Tag(cpuGroup, "rip", [0], BitConverter.GetBytes(0xFFFF_FFFF_8100_0042));
        Tag(cpuGroup, "rsp", [0], BitConverter.GetBytes(0xFFFF_C900_0000_1000));
        (int Register, ulong Value)[] control = [(0, 0x8005_0033), (3, 0x1234_5000), (4, 0x6B0)];
        foreach ((int register, ulong value) in control)
        {
            Tag(cpuGroup, "CR64", [0, register], BitConverter.GetBytes(value));
        }

        cpuGroup.Write([0, 0]);
        byte[] head = new byte[12 + (2 * 80)];
        Put32(head, 0, unchecked((int)0xBED2BED2));
        Put32(head, 4, 8);
        Put32(head, 8, 2);
        Encoding.ASCII.GetBytes("cpu").CopyTo(head, 12);
        Put64(head, 12 + 64, head.Length);
        Encoding.ASCII.GetBytes("memory").CopyTo(head, 92);
        Put64(head, 92 + 64, head.Length + cpuGroup.Length);
        return [.. head, .. cpuGroup.ToArray(), .. memoryGroup.ToArray()];
    }

    private static void Tag(MemoryStream group, string name, int[] indices, byte[] value)
    {
        group.Write([(byte)((indices.Length << 6) | value.Length), (byte)name.Length, .. Encoding.ASCII.GetBytes(name)]);
        foreach (int index in indices)
        {
            group.Write(BitConverter.GetBytes(index));
        }

        group.Write(value);
    }

    private static void Put16(byte[] bytes, int offset, int value) => BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(offset), (ushort)value);

    private static void Put32(byte[] bytes, int offset, int value) => BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(offset), value);

    private static void Put64(byte[] bytes, int offset, long value) => BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(offset), value);
}
