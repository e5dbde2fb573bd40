using System.Buffers.Binary;
using System.Text;

namespace Emulator.Boot;

/// <summary>
/// The PVH entry: Xen's docs/misc/pvh.pandoc ("x86/HVM direct boot ABI") and public/arch-x86/hvm/start_info.h, version 1
/// of the start info. The initrd is the first module, as Linux expects.
/// </summary>
internal static class PvhLoader
{
    private const uint StartInfoMagic = 0x336E_C578;
    private const uint PhysicalEntryNote = 18;
    private const int StartInfoSize = 56;
    private const int ModuleSize = 32;
    private const int MapEntrySize = 24;
    private const ulong FourGiB = 1UL << 32;

    public static bool HasEntryNote(ReadOnlyMemory<byte> kernel)
    {
        try
        {
            return !ElfImage.Parse(kernel).FindNote("Xen\0"u8, PhysicalEntryNote).IsEmpty;
        }
        catch (BootException)
        {
            return false;
        }
    }

    public static VcpuState Load(BootSpace space, BootRequest request)
    {
        ElfImage elf = ElfImage.Parse(request.Kernel);
        uint entry = ReadEntry(elf);
        ulong kernelEnd = elf.LoadInto(space);
        if (!space.Placements.Any(p => entry - p.Start < p.Length))
        {
            throw new BootException($"the PVH entry {entry:x}h is in no loaded segment");
        }

        byte[] commandLine = BootLoader.CommandLineBytes(request, BootLimits.CommandLineBytes, "this loader");
        ulong commandLineAt = space.Put("command line", commandLine, 16, EntryState.StructureFloor, E820.ConventionalEnd);
        (ulong modulesAt, int moduleCount) = PutModules(space, request, kernelEnd);

        var map = new byte[request.MemoryMap.Count * MapEntrySize];
        for (int i = 0; i < request.MemoryMap.Count; i++)
        {
            Span<byte> slot = map.AsSpan(i * MapEntrySize, MapEntrySize);
            BinaryPrimitives.WriteUInt64LittleEndian(slot, request.MemoryMap[i].Start);
            BinaryPrimitives.WriteUInt64LittleEndian(slot[8..], request.MemoryMap[i].Length);
            BinaryPrimitives.WriteUInt32LittleEndian(slot[16..], (uint)request.MemoryMap[i].Type);
        }

        ulong mapAt = space.Put("memory map", map, 16, EntryState.StructureFloor, E820.ConventionalEnd);

        Span<byte> info = stackalloc byte[StartInfoSize];
        BinaryPrimitives.WriteUInt32LittleEndian(info, StartInfoMagic);
        BinaryPrimitives.WriteUInt32LittleEndian(info[4..], 1);
        BinaryPrimitives.WriteUInt32LittleEndian(info[12..], (uint)moduleCount);
        BinaryPrimitives.WriteUInt64LittleEndian(info[16..], modulesAt);
        BinaryPrimitives.WriteUInt64LittleEndian(info[24..], commandLineAt);
        BinaryPrimitives.WriteUInt64LittleEndian(info[32..], request.RsdpAddress);
        BinaryPrimitives.WriteUInt64LittleEndian(info[40..], mapAt);
        BinaryPrimitives.WriteUInt32LittleEndian(info[48..], (uint)request.MemoryMap.Count);
        ulong infoAt = space.Put("start info", info, 16, EntryState.StructureFloor, E820.ConventionalEnd);

        VcpuState vcpu = EntryState.Protected(space, entry);
        vcpu.Gpr[3] = infoAt;
        return vcpu;
    }

    private static uint ReadEntry(ElfImage elf)
    {
        ReadOnlySpan<byte> note = elf.FindNote("Xen\0"u8, PhysicalEntryNote);
        ulong entry = note.Length switch
        {
            4 => BinaryPrimitives.ReadUInt32LittleEndian(note),
            8 => BinaryPrimitives.ReadUInt64LittleEndian(note),
            0 => throw new BootException("the ELF file has no PVH entry note (owner Xen, type 18)"),
            _ => throw new BootException($"the PVH entry note has {note.Length} bytes; 4 or 8 are needed"),
        };
        return entry < FourGiB ? (uint)entry : throw new BootException($"the PVH entry {entry:x}h is not below 4 GiB");
    }

    private static (ulong List, int Count) PutModules(BootSpace space, BootRequest request, ulong kernelEnd)
    {
        List<BootModule> modules = BootLoader.AllModules(request);
        if (modules.Count == 0)
        {
            return (0, 0);
        }

        var list = new byte[modules.Count * ModuleSize];
        for (int i = 0; i < modules.Count; i++)
        {
            BootModule module = modules[i];
            ulong floor = Math.Max(kernelEnd, E820.ExtendedStart);
            ulong at = space.TakeLowest($"module {module.Name}", (ulong)module.Content.Length, 4096, floor, FourGiB);
            space.Memory.Write(at, module.Content.Span);
            ulong nameAt = space.Put($"name of module {module.Name}", [.. Encoding.UTF8.GetBytes(module.Name), 0], 1, EntryState.StructureFloor, E820.ConventionalEnd);

            Span<byte> slot = list.AsSpan(i * ModuleSize, ModuleSize);
            BinaryPrimitives.WriteUInt64LittleEndian(slot, at);
            BinaryPrimitives.WriteUInt64LittleEndian(slot[8..], (ulong)module.Content.Length);
            BinaryPrimitives.WriteUInt64LittleEndian(slot[16..], nameAt);
        }

        return (space.Put("module list", list, 16, EntryState.StructureFloor, E820.ConventionalEnd), modules.Count);
    }
}
