using System.Buffers.Binary;

namespace Emulator.Boot;

/// <summary>
/// The Linux 64-bit boot protocol: Documentation/arch/x86/boot.rst, "64-bit Boot Protocol", and zero-page.rst. Field names
/// are the ones of the setup header there.
/// </summary>
internal static class LinuxLoader
{
    /// <summary>Offset of the setup header in the file and in the zero page.</summary>
    private const int HeaderStart = 0x1F1;

    /// <summary>The zero page gives the setup header this much: EDD data follow.</summary>
    private const int HeaderLimit = 0x290;

    /// <summary>The header must reach to the end of init_size, the last field we use.</summary>
    private const int HeaderNeeded = 0x264;

    /// <summary>First protocol version with xloadflags, that is, with a 64-bit entry point.</summary>
    private const int MinimumVersion = 0x020C;

    private const int EntryOffset = 0x200;
    private const int ZeroPageSize = 4096;
    private const int MapEntrySize = 20;

    private const ulong FourGiB = 1UL << 32;

    /// <summary>A kernel is not placed below this: the first MiB is not ordinary memory.</summary>
    private const ulong KernelFloor = 0x10_0000;

    /// <summary>Largest alignment a kernel may ask for; Linux asks for 2 MiB, at most 16 MiB.</summary>
    private const ulong MaximumAlignment = 1UL << 30;

    [Flags]
    private enum LoadFlags : byte
    {
        LoadedHigh = 1,
        CanUseHeap = 0x80,
    }

    [Flags]
    private enum ExtendedLoadFlags : ushort
    {
        Kernel64 = 1,
        CanBeLoadedAbove4G = 2,
    }

    public static bool IsBzImage(ReadOnlySpan<byte> file) => file.Length >= 0x206 && file[0x202..].StartsWith("HdrS"u8);

    public static VcpuState Load(BootSpace space, BootRequest request)
    {
        ReadOnlySpan<byte> file = request.Kernel.Span;
        Header header = Header.Parse(file);
        if (request.Modules.Count != 0)
        {
            throw new BootException("Linux takes an initrd but no modules");
        }

        ReadOnlySpan<byte> payload = file.Slice(header.PayloadOffset, header.PayloadLength);
        ulong kernel = PlaceKernel(space, header, payload.Length);
        space.Memory.Write(kernel, payload);
        ulong room = Math.Max(header.InitSize, (ulong)payload.Length);
        space.Memory.Clear(kernel + (ulong)payload.Length, room - (ulong)payload.Length);

        byte[] commandLine = BootLoader.CommandLineBytes(request, Math.Min(header.CommandLineSize, BootLimits.CommandLineBytes), "the kernel (cmdline_size)");
        ulong zeroPageAt = space.TakeLowest("boot parameters", ZeroPageSize, 4096, EntryState.StructureFloor, E820.ConventionalEnd);
        ulong commandLineAt = space.Put("command line", commandLine, 16, EntryState.StructureFloor, E820.ConventionalEnd);

        byte[] zeroPage = BuildZeroPage(request, header, file);
        Put32(zeroPage, 0x214, (uint)kernel);
        Put32(zeroPage, 0x228, (uint)commandLineAt);
        if (request.Initrd is { Length: > 0 } initrd)
        {
            ulong at = PlaceInitrd(space, header, (ulong)initrd.Length);
            space.Memory.Write(at, initrd.Span);
            Put32(zeroPage, 0x218, (uint)at);
            Put32(zeroPage, 0x0C0, (uint)(at >> 32));
            Put32(zeroPage, 0x21C, (uint)initrd.Length);
        }

        space.Memory.Write(zeroPageAt, zeroPage);
        VcpuState vcpu = EntryState.Long(space, kernel + EntryOffset);
        vcpu.Gpr[6] = zeroPageAt;
        return vcpu;
    }

    private static byte[] BuildZeroPage(BootRequest request, in Header header, ReadOnlySpan<byte> file)
    {
        // screen_info stays zero: no columns and no lines is how a machine without a display is told (vgacon then keeps away).
        var page = new byte[ZeroPageSize];
        file[HeaderStart..header.HeaderEnd].CopyTo(page.AsSpan(HeaderStart));
        page[0x210] = 0xFF; // type_of_loader: a loader without an assigned number
        page[0x211] = (byte)(header.LoadFlags | LoadFlags.CanUseHeap);
        BinaryPrimitives.WriteUInt16LittleEndian(page.AsSpan(0x224), 0xFE00); // heap_end_ptr: unused by the 64-bit entry, customary
        Put32(page, 0x218, 0);
        Put32(page, 0x21C, 0);
        BinaryPrimitives.WriteUInt64LittleEndian(page.AsSpan(0x250), 0); // setup_data: no list of ours, and a file's pointer means nothing
        BinaryPrimitives.WriteUInt64LittleEndian(page.AsSpan(0x070), request.RsdpAddress);

        page[0x1E8] = (byte)request.MemoryMap.Count;
        for (int i = 0; i < request.MemoryMap.Count; i++)
        {
            Span<byte> slot = page.AsSpan(0x2D0 + (i * MapEntrySize), MapEntrySize);
            BinaryPrimitives.WriteUInt64LittleEndian(slot, request.MemoryMap[i].Start);
            BinaryPrimitives.WriteUInt64LittleEndian(slot[8..], request.MemoryMap[i].Length);
            BinaryPrimitives.WriteUInt32LittleEndian(slot[16..], (uint)request.MemoryMap[i].Type);
        }

        return page;
    }

    private static ulong PlaceKernel(BootSpace space, in Header header, int payloadLength)
    {
        ulong room = Math.Max(header.InitSize, (ulong)payloadLength);
        ulong preferred = header.PreferredAddress;
        if (preferred >= KernelFloor && preferred < FourGiB && room <= FourGiB - preferred && space.IsFree(preferred, room))
        {
            space.Take("kernel", preferred, room);
            return preferred;
        }

        if (!header.Relocatable)
        {
            throw new BootException(
                $"the kernel is not relocatable and its {room:x}h bytes (init_size) do not fit at pref_address {preferred:x}h ({space.DescribeRam()})");
        }

        return space.TryTakeLowest("kernel", room, header.Alignment, KernelFloor, FourGiB, out ulong start)
            ? start
            : throw new BootException(
                $"the kernel needs {room:x}h bytes (init_size) aligned to {header.Alignment:x}h (kernel_alignment) below 4 GiB; give the machine more memory ({space.DescribeRam()})");
    }

    private static ulong PlaceInitrd(BootSpace space, in Header header, ulong length)
    {
        // initrd_addr_max is the highest address a byte of the initrd may have.
        if (space.TryTakeHighest("initrd", length, 4096, KernelFloor, header.InitrdAddressMax + 1, out ulong start))
        {
            return start;
        }

        bool above = (header.ExtendedLoadFlags & ExtendedLoadFlags.CanBeLoadedAbove4G) != 0;
        if (above && space.TryTakeHighest("initrd", length, 4096, KernelFloor, ulong.MaxValue, out start))
        {
            return start;
        }

        throw new BootException(
            $"the initrd's {length:x}h bytes do not fit beside the kernel {(above ? "anywhere" : $"below initrd_addr_max {header.InitrdAddressMax:x}h")}; give the machine more memory ({space.DescribeRam()})");
    }

    private static void Put32(byte[] page, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(offset), value);

    /// <summary>The fields of the setup header that matter here, checked.</summary>
    private readonly record struct Header(
        int HeaderEnd, int PayloadOffset, int PayloadLength, LoadFlags LoadFlags, ExtendedLoadFlags ExtendedLoadFlags, bool Relocatable,
        ulong Alignment, ulong PreferredAddress, ulong InitSize, ulong InitrdAddressMax, int CommandLineSize)
    {
        public static Header Parse(ReadOnlySpan<byte> file)
        {
            if (!IsBzImage(file))
            {
                throw new BootException("the kernel file has no bzImage header (\"HdrS\" at 202h)");
            }

            if (file.Length < HeaderNeeded)
            {
                throw new BootException($"the kernel file has {file.Length} bytes; its setup header alone needs {HeaderNeeded}");
            }

            ushort bootFlag = BinaryPrimitives.ReadUInt16LittleEndian(file[0x1FE..]);
            if (bootFlag != 0xAA55)
            {
                throw new BootException($"boot_flag is {bootFlag:x4}h, not aa55h");
            }

            ushort version = BinaryPrimitives.ReadUInt16LittleEndian(file[0x206..]);
            if (version < MinimumVersion)
            {
                throw new BootException($"boot protocol {version >> 8}.{version & 0xFF:00} is too old; 2.12 (Linux 3.8) is the first with a 64-bit entry");
            }

            int headerEnd = 0x202 + file[0x201];
            if (headerEnd is < HeaderNeeded or > HeaderLimit || headerEnd > file.Length)
            {
                throw new BootException($"the setup header ends at {headerEnd:x}h (byte 201h); {HeaderNeeded:x}h to {HeaderLimit:x}h is allowed");
            }

            var loadFlags = (LoadFlags)file[0x211];
            if ((loadFlags & LoadFlags.LoadedHigh) == 0)
            {
                throw new BootException("loadflags lacks LOADED_HIGH: a zImage, which has no 64-bit entry");
            }

            var extended = (ExtendedLoadFlags)BinaryPrimitives.ReadUInt16LittleEndian(file[0x236..]);
            if ((extended & ExtendedLoadFlags.Kernel64) == 0)
            {
                throw new BootException("xloadflags lacks XLF_KERNEL_64: a 32-bit kernel, which this protocol cannot enter");
            }

            ulong alignment = BinaryPrimitives.ReadUInt32LittleEndian(file[0x230..]);
            if (alignment is 0 or > MaximumAlignment || (alignment & (alignment - 1)) != 0)
            {
                throw new BootException($"kernel_alignment is {alignment:x}h; a power of two up to {MaximumAlignment:x}h is needed");
            }

            // Before protocol 2.00 a zero meant four sectors; the rule still stands.
            int setupSectors = file[0x1F1] == 0 ? 4 : file[0x1F1];
            int payloadOffset = (setupSectors + 1) * 512;
            ulong payloadLength = BinaryPrimitives.ReadUInt32LittleEndian(file[0x1F4..]) * 16UL;
            if (payloadOffset > file.Length || payloadLength > (ulong)(file.Length - payloadOffset))
            {
                throw new BootException(
                    $"the kernel proper (setup_sects {setupSectors}, syssize {payloadLength:x}h bytes) goes beyond the file's {file.Length:x}h bytes: a truncated file");
            }

            if (payloadLength <= EntryOffset)
            {
                throw new BootException($"the kernel proper has {payloadLength:x}h bytes (syssize); its 64-bit entry is at {EntryOffset:x}h");
            }

            uint commandLineSize = BinaryPrimitives.ReadUInt32LittleEndian(file[0x238..]);
            return new Header(
                headerEnd,
                payloadOffset,
                (int)payloadLength,
                loadFlags,
                extended,
                file[0x234] != 0,
                alignment,
                BinaryPrimitives.ReadUInt64LittleEndian(file[0x258..]),
                BinaryPrimitives.ReadUInt32LittleEndian(file[0x260..]),
                BinaryPrimitives.ReadUInt32LittleEndian(file[0x22C..]),
                (int)Math.Min(commandLineSize, BootLimits.CommandLineBytes));
        }
    }
}
