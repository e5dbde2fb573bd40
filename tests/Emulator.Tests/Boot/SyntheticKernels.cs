using System.Buffers.Binary;

namespace Emulator.Tests.Boot;

/// <summary>Small kernel files with well-formed headers, for tests to spoil one field at a time.</summary>
internal static class SyntheticKernels
{
    public const int BzImageLength = 1024 + 0x400;

    /// <summary>One setup sector, 400h bytes of kernel; 2 MiB alignment, 16 MiB preferred, 4 MiB needed.</summary>
    public static byte[] BzImage()
    {
        var file = new byte[BzImageLength];
        file[0x1F1] = 1;
        Put(file, 0x1F4, 4, 0x40);
        Put(file, 0x1FE, 2, 0xAA55);
        file[0x200] = 0xEB;
        file[0x201] = 0x6A;
        "HdrS"u8.CopyTo(file.AsSpan(0x202));
        Put(file, 0x206, 2, 0x020F);
        file[0x211] = 1;
        Put(file, 0x22C, 4, 0x7FFF_FFFF);
        Put(file, 0x230, 4, 0x20_0000);
        file[0x234] = 1;
        file[0x235] = 0x15;
        Put(file, 0x236, 2, 0x7F);
        Put(file, 0x238, 4, 0x7FF);
        Put(file, 0x258, 8, 0x100_0000);
        Put(file, 0x260, 4, 0x40_0000);
        for (int i = 1024; i < file.Length; i++)
        {
            file[i] = (byte)(i * 7);
        }

        return file;
    }

    /// <summary>ELF with a PVH note and one segment of 100h file bytes and 3000h bytes of memory at 1 MiB.</summary>
    public static byte[] PvhElf(bool wide, ulong noteEntry = 0x10_0010)
    {
        var file = new byte[0x300];
        Elf(file, wide, 2, entry: 0xFFFF_FFFF);
        ProgramHeader(file, wide, 0, type: 1, offset: 0x200, address: 0x10_0000, fileSize: 0x100, memorySize: 0x3000);
        ProgramHeader(file, wide, 1, type: 4, offset: 0x180, address: 0, fileSize: wide ? 24UL : 20UL, memorySize: 0);
        Put(file, 0x180, 4, 4);
        Put(file, 0x184, 4, wide ? 8UL : 4UL);
        Put(file, 0x188, 4, 18);
        "Xen\0"u8.CopyTo(file.AsSpan(0x18C));
        Put(file, 0x190, wide ? 8 : 4, noteEntry);
        file.AsSpan(0x200).Fill(0x90);
        return file;
    }

    /// <summary>ELF with a Multiboot header at 180h, linked at C0100000h and loaded at 1 MiB; entry at +20h.</summary>
    public static byte[] MultibootElf(bool wide)
    {
        var file = new byte[0x300];
        Elf(file, wide, 1, entry: 0xC010_0020);
        ProgramHeader(file, wide, 0, type: 1, offset: 0x200, address: 0x10_0000, fileSize: 0x100, memorySize: 0x2000, virtualAddress: 0xC010_0000);
        MultibootHeader(file, 0x180, 3);
        file.AsSpan(0x200).Fill(0x90);
        return file;
    }

    /// <summary>No ELF: a Multiboot header at 40h with address fields; the file loads at 200000h, ends at 200100h, bss to 204000h.</summary>
    public static byte[] MultibootAddresses()
    {
        var file = new byte[0x100];
        file.AsSpan().Fill(0x90);
        MultibootHeader(file, 0x40, 0x1_0003);
        Put(file, 0x4C, 4, 0x20_0040);
        Put(file, 0x50, 4, 0x20_0000);
        Put(file, 0x54, 4, 0x20_0100);
        Put(file, 0x58, 4, 0x20_4000);
        Put(file, 0x5C, 4, 0x20_0080);
        return file;
    }

    public static void Put(byte[] file, int offset, int size, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        bytes[..size].CopyTo(file.AsSpan(offset));
    }

    private static void MultibootHeader(byte[] file, int offset, uint flags)
    {
        Put(file, offset, 4, 0x1BAD_B002);
        Put(file, offset + 4, 4, flags);
        Put(file, offset + 8, 4, unchecked(0 - 0x1BAD_B002U - flags));
    }

    private static void Elf(byte[] file, bool wide, int headers, ulong entry)
    {
        "\u007FELF"u8.CopyTo(file);
        file[4] = (byte)(wide ? 2 : 1);
        file[5] = 1;
        file[6] = 1;
        Put(file, 16, 2, 2);
        Put(file, 18, 2, wide ? 62UL : 3UL);
        Put(file, 20, 4, 1);
        Put(file, 24, wide ? 8 : 4, entry);
        Put(file, wide ? 32 : 28, wide ? 8 : 4, wide ? 64UL : 52UL);
        Put(file, wide ? 54 : 42, 2, wide ? 56UL : 32UL);
        Put(file, wide ? 56 : 44, 2, (ulong)headers);
    }

    private static void ProgramHeader(
        byte[] file, bool wide, int index, uint type, ulong offset, ulong address, ulong fileSize, ulong memorySize, ulong? virtualAddress = null)
    {
        int at = wide ? 64 + (index * 56) : 52 + (index * 32);
        Put(file, at, 4, type);
        if (wide)
        {
            Put(file, at + 8, 8, offset);
            Put(file, at + 16, 8, virtualAddress ?? address);
            Put(file, at + 24, 8, address);
            Put(file, at + 32, 8, fileSize);
            Put(file, at + 40, 8, memorySize);
            Put(file, at + 48, 8, 4);
        }
        else
        {
            Put(file, at + 4, 4, offset);
            Put(file, at + 8, 4, virtualAddress ?? address);
            Put(file, at + 12, 4, address);
            Put(file, at + 16, 4, fileSize);
            Put(file, at + 20, 4, memorySize);
            Put(file, at + 28, 4, 4);
        }
    }
}
