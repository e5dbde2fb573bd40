using System.Buffers.Binary;
using System.Text;

namespace Emulator.Boot;

/// <summary>
/// Multiboot 1 (specification 0.6.96). The header's address fields are used when flag 16 is set, whatever the file is;
/// else the file must be ELF. Beside ELF32 we take ELF64, as GRUB does and QEMU does not: it is still entered in 32-bit
/// protected mode, so its entry must be 32-bit code below 4 GiB. An entry that is a virtual address of a segment is
/// turned into that segment's physical one, so higher-half kernels work. Video wishes (flag 2) are ignored: there is no
/// display. The command line is passed as it stands, without the kernel's name in front.
/// </summary>
internal static class MultibootLoader
{
    private const uint HeaderMagic = 0x1BAD_B002;
    private const uint BootMagic = 0x2BAD_B002;
    private const uint AddressFields = 1 << 16;

    /// <summary>Flags 0 to 15 must be understood by the loader; we do 0 (aligned modules), 1 (memory map) and 2 (video).</summary>
    private const uint UnknownFlags = 0xFFF8;

    private const int InfoSize = 120;
    private const int ModuleSize = 16;
    private const int MapEntrySize = 24;
    private const ulong FourGiB = 1UL << 32;

    private static ReadOnlySpan<byte> LoaderName => "gdbstub\0"u8;

    /// <summary>Offset of the header, or -1: the first aligned magic number whose checksum holds.</summary>
    public static int FindHeader(ReadOnlySpan<byte> file)
    {
        int end = Math.Min(file.Length, BootLimits.MultibootSearchBytes) - 12;
        for (int offset = 0; offset <= end; offset += 4)
        {
            ReadOnlySpan<byte> header = file[offset..];
            if (U32(header, 0) == HeaderMagic && U32(header, 0) + U32(header, 4) + U32(header, 8) == 0)
            {
                return offset;
            }
        }

        return -1;
    }

    public static VcpuState Load(BootSpace space, BootRequest request)
    {
        ReadOnlySpan<byte> file = request.Kernel.Span;
        int headerAt = FindHeader(file);
        if (headerAt < 0)
        {
            throw new BootException($"the kernel file has no Multiboot header in its first {BootLimits.MultibootSearchBytes} bytes");
        }

        uint flags = U32(file, headerAt + 4);
        if ((flags & UnknownFlags) != 0)
        {
            throw new BootException($"Multiboot header flags {flags:x8}h ask for features we do not know ({flags & UnknownFlags:x4}h)");
        }

        (uint entry, ulong kernelEnd) = (flags & AddressFields) != 0
            ? LoadByAddressFields(space, file, headerAt)
            : LoadElf(space, request.Kernel);
        ulong info = PutInfo(space, request, kernelEnd);
        VcpuState vcpu = EntryState.Protected(space, entry);
        vcpu.Gpr[0] = BootMagic;
        vcpu.Gpr[3] = info;
        return vcpu;
    }

    private static (uint Entry, ulong KernelEnd) LoadElf(BootSpace space, ReadOnlyMemory<byte> file)
    {
        if (!ElfImage.IsElf(file.Span))
        {
            throw new BootException("the Multiboot kernel is not ELF and its header has no address fields (flag 16)");
        }

        ElfImage elf = ElfImage.Parse(file);
        ulong end = elf.LoadInto(space);
        ulong entry = elf.ToPhysical(elf.Entry);
        if (entry >= FourGiB || !space.Placements.Any(p => entry - p.Start < p.Length))
        {
            throw new BootException($"the entry point {elf.Entry:x}h (e_entry) is in no segment loaded below 4 GiB");
        }

        return ((uint)entry, end);
    }

    private static (uint Entry, ulong KernelEnd) LoadByAddressFields(BootSpace space, ReadOnlySpan<byte> file, int headerAt)
    {
        if (file.Length - headerAt < 32)
        {
            throw new BootException($"the Multiboot header at {headerAt:x}h has no room for its address fields in a file of {file.Length:x}h bytes");
        }

        ulong headerAddress = U32(file, headerAt + 12);
        ulong loadAddress = U32(file, headerAt + 16);
        ulong loadEnd = U32(file, headerAt + 20);
        ulong bssEnd = U32(file, headerAt + 24);
        uint entry = U32(file, headerAt + 28);
        if (headerAddress < loadAddress || headerAddress - loadAddress > (ulong)headerAt)
        {
            throw new BootException(
                $"Multiboot header_addr {headerAddress:x}h and load_addr {loadAddress:x}h place the load address outside the file (header at {headerAt:x}h)");
        }

        ulong offset = (ulong)headerAt - (headerAddress - loadAddress);
        ulong available = (ulong)file.Length - offset;
        if (loadEnd != 0 && (loadEnd < loadAddress || loadEnd - loadAddress > available))
        {
            throw new BootException($"Multiboot load_end_addr {loadEnd:x}h: load_addr {loadAddress:x}h and {available:x}h bytes of file allow {loadAddress + available:x}h");
        }

        ulong length = loadEnd == 0 ? available : loadEnd - loadAddress;
        ulong end = loadAddress + length;
        if (bssEnd != 0 && bssEnd < end)
        {
            throw new BootException($"Multiboot bss_end_addr {bssEnd:x}h lies before the end of the loaded bytes {end:x}h");
        }

        ulong memoryEnd = bssEnd == 0 ? end : bssEnd;
        if (entry < loadAddress || entry >= memoryEnd)
        {
            throw new BootException($"Multiboot entry_addr {entry:x}h is not within the loaded {loadAddress:x}h-{memoryEnd:x}h");
        }

        space.Take("kernel", loadAddress, memoryEnd - loadAddress);
        space.Memory.Write(loadAddress, file.Slice((int)offset, (int)length));
        if (memoryEnd > end)
        {
            space.Memory.Clear(end, memoryEnd - end);
        }

        return (entry, memoryEnd);
    }

    private static ulong PutInfo(BootSpace space, BootRequest request, ulong kernelEnd)
    {
        var info = new byte[InfoSize];
        uint flags = 1 | 1 << 2 | 1 << 6 | 1 << 9;
        (uint lower, uint upper) = MemorySizes(request.MemoryMap);
        Put32(info, 4, lower);
        Put32(info, 8, upper);

        byte[] commandLine = BootLoader.CommandLineBytes(request, BootLimits.CommandLineBytes, "this loader");
        Put32(info, 16, PutLow(space, "command line", commandLine));

        List<BootModule> modules = BootLoader.AllModules(request);
        if (modules.Count != 0)
        {
            flags |= 1 << 3;
            Put32(info, 20, (uint)modules.Count);
            Put32(info, 24, PutModules(space, modules, kernelEnd));
        }

        var map = new byte[request.MemoryMap.Count * MapEntrySize];
        for (int i = 0; i < request.MemoryMap.Count; i++)
        {
            Span<byte> slot = map.AsSpan(i * MapEntrySize, MapEntrySize);
            BinaryPrimitives.WriteUInt32LittleEndian(slot, MapEntrySize - 4); // the size field does not count itself
            BinaryPrimitives.WriteUInt64LittleEndian(slot[4..], request.MemoryMap[i].Start);
            BinaryPrimitives.WriteUInt64LittleEndian(slot[12..], request.MemoryMap[i].Length);
            BinaryPrimitives.WriteUInt32LittleEndian(slot[20..], (uint)request.MemoryMap[i].Type);
        }

        Put32(info, 44, (uint)map.Length);
        Put32(info, 48, PutLow(space, "memory map", map));
        Put32(info, 64, PutLow(space, "loader name", LoaderName));
        Put32(info, 0, flags);
        return PutLow(space, "Multiboot information", info);
    }

    private static uint PutModules(BootSpace space, List<BootModule> modules, ulong kernelEnd)
    {
        var list = new byte[modules.Count * ModuleSize];
        for (int i = 0; i < modules.Count; i++)
        {
            BootModule module = modules[i];
            ulong length = (ulong)module.Content.Length;
            ulong at = space.TakeLowest($"module {module.Name}", length, 4096, Math.Max(kernelEnd, E820.ExtendedStart), FourGiB);
            space.Memory.Write(at, module.Content.Span);
            Put32(list, i * ModuleSize, (uint)at);
            Put32(list, (i * ModuleSize) + 4, (uint)(at + length));
            Put32(list, (i * ModuleSize) + 8, PutLow(space, $"name of module {module.Name}", [.. Encoding.UTF8.GetBytes(module.Name), 0]));
        }

        return PutLow(space, "module list", list);
    }

    /// <summary>mem_lower: KiB from 0 to the first hole, at most 640. mem_upper: KiB from 1 MiB to the first hole.</summary>
    private static (uint Lower, uint Upper) MemorySizes(IReadOnlyList<E820Entry> map)
    {
        ulong lower = 0, upper = 0;
        foreach (E820Entry entry in map)
        {
            if (entry.Type != E820Type.Usable)
            {
                continue;
            }

            if (entry.Start == 0)
            {
                lower = Math.Min(entry.End, 640 << 10);
            }

            if (entry.Start <= E820.ExtendedStart && entry.End > E820.ExtendedStart)
            {
                upper = Math.Min(entry.End, FourGiB) - E820.ExtendedStart;
            }
        }

        return ((uint)(lower >> 10), (uint)(upper >> 10));
    }

    private static uint PutLow(BootSpace space, string what, ReadOnlySpan<byte> bytes) =>
        (uint)space.Put(what, bytes, 16, EntryState.StructureFloor, E820.ConventionalEnd);

    private static uint U32(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[offset..]);

    private static void Put32(byte[] bytes, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(offset), value);
}
