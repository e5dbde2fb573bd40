using System.Buffers.Binary;
using System.Text;
using Emulator;
using Snapshots.Kdump;

namespace Snapshots.Dumps;

/// <summary>
/// VMware's state of a suspended or snapshotted machine (vmss, vmsn) with its memory inside or beside it (vmem). A header
/// (magic, version, count of groups: 4 bytes each), groups of 80 bytes (name 64, position 8, size 8), in each group tagged
/// values up to a tag of zero: 2 bytes of tag (name length in bits 8–15, count of 4-byte indices in 6–7, value size in 0–5,
/// where 62 and 63 are blocks with sizes of their own), the name, the indices, the value. VMware publishes no description;
/// this is what crash's reader of these files relies on.
/// </summary>
internal static class VmwareFormat
{
    private const int GroupSize = 80;
    private const int NameSize = 64;
    private const int Block = 63;
    private const int PackedBlock = 62;
    private const int GeneralBytes = 128;
    private const ulong PageSize = KdumpHeader.BlockSize;

    /// <summary>Whether a file begins as one.</summary>
    public static bool IsState(ReadOnlySpan<byte> start) => start.Length >= 4
        && BinaryPrimitives.ReadUInt32LittleEndian(start) is 0xBED2BED2 or 0xBED3BED3 or 0xBAD1BAD1 or 0xBAD2BAD2;

    /// <summary>The state file of a vmem, or null.</summary>
    public static string? StateBeside(string path) => !path.EndsWith(".vmem", StringComparison.OrdinalIgnoreCase)
        ? null
        : Array.Find([Path.ChangeExtension(path, ".vmss"), Path.ChangeExtension(path, ".vmsn")], File.Exists);

    /// <summary>Reads a state file with the memory in it or, failing that, in the vmem beside it.</summary>
    public static DumpContents Read(ArchiveFile file)
    {
        State state = ReadState(file);
        if (state.MemoryOffset >= 0)
        {
            return state.Contents(file, "VMware state with memory", file);
        }

        string path = Path.ChangeExtension(file.Path, ".vmem");
        if (!File.Exists(path))
        {
            throw file.Bad(0, "memory", $"the memory is not in this file, and {path} is not there");
        }

        var memory = new ArchiveFile(path);
        try
        {
            DumpContents contents = state.Contents(memory, "VMware state and vmem", file);
            file.Dispose();
            return contents;
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    /// <summary>Reads a vmem with the state file beside it.</summary>
    public static DumpContents ReadBeside(ArchiveFile memory, string statePath)
    {
        using var file = new ArchiveFile(statePath);
        Span<byte> start = stackalloc byte[4];
        file.Read(0, start, "signature");
        return IsState(start) ? ReadState(file).Contents(memory, "VMware state and vmem", file) : throw file.Bad(0, "signature", "this is no state of VMware's");
    }

    private static State ReadState(ArchiveFile file)
    {
        byte[] header = new byte[12];
        file.Read(0, header, "header");
        int groups = file.Number(header, 8, "numgroups", 1, ArchiveLimits.VmwareGroups);
        byte[] table = new byte[groups * GroupSize];
        file.Read(header.Length, table, "groups");
        var state = new State();
        for (int i = 0; i < groups; i++)
        {
            string name = Encoding.Latin1.GetString(table, i * GroupSize, NameSize).Split('\0')[0];
            if (name is "memory" or "cpu")
            {
                long position = BinaryPrimitives.ReadInt64LittleEndian(table.AsSpan((i * GroupSize) + NameSize));
                if (position < header.Length || position >= file.Length)
                {
                    throw file.Bad(header.Length + (i * GroupSize) + NameSize, "group.position", $"0x{position:x} is not within the file, which has 0x{file.Length:x}");
                }

                ReadGroup(file, state, position);
            }
        }

        return state;
    }

    private static void ReadGroup(ArchiveFile file, State state, long at)
    {
        byte[] bytes = new byte[GeneralBytes];
        for (int count = 0; ; count++)
        {
            if (count == ArchiveLimits.VmwareTags)
            {
                throw file.Bad(at, "tag", $"more than {ArchiveLimits.VmwareTags} tags in a group");
            }

            file.Read(at, bytes.AsSpan(0, 2), "tag");
            int tag = BinaryPrimitives.ReadUInt16LittleEndian(bytes);
            if (tag == 0)
            {
                return;
            }

            int nameLength = tag >> 8, indices = (tag >> 6) & 3, size = tag & 63;
            byte[] name = new byte[nameLength + (4 * indices)];
            file.Read(at + 2, name, "tag.name");
            string word = Encoding.Latin1.GetString(name, 0, nameLength);
            int Index(int number) => number < indices ? BinaryPrimitives.ReadInt32LittleEndian(name.AsSpan(nameLength + (4 * number))) : -1;
            at += 2 + name.Length;
            if (size is not (Block or PackedBlock))
            {
                bytes.AsSpan(0, 8).Clear();
                file.Read(at, bytes.AsSpan(0, size), word);
                state.Take(file, at, word, Index(0), Index(1), BinaryPrimitives.ReadUInt64LittleEndian(bytes));
                at += size;
                continue;
            }

            file.Read(at, bytes.AsSpan(0, 18), word);
            long stored = BinaryPrimitives.ReadInt64LittleEndian(bytes), length = BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(8));
            long start = at + 18 + BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(16));
            if (stored < 0 || start > file.Length || stored > file.Length - start)
            {
                throw file.Bad(at, word + ".size", $"{stored} bytes from 0x{start:x} on; the file has 0x{file.Length:x}");
            }

            if (word == "Memory")
            {
                state.MemoryOffset = size == PackedBlock || stored != length
                    ? throw file.Bad(at, word, "compressed memory cannot be read")
                    : start;
                state.MemoryLength = length;
            }
            else if (word == "gpregs" && stored == GeneralBytes && state.Cpu(Index(0)) is { } cpu)
            {
                file.Read(start, bytes, word);
                for (int i = 0; i < 16; i++)
                {
                    cpu[State.GeneralOrder[i]] = BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(8 * i));
                }
            }
            else if (word == "CR64" && stored >= 40 && state.Cpu(Index(0)) is { } control)
            {
                file.Read(start, bytes.AsSpan(0, 40), word);
                for (int i = 0; i < 5; i++)
                {
                    control[State.Control + i] = BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(8 * i));
                }
            }

            at = start + stored;
        }
    }

    /// <summary>What the two groups say. A CPU is 24 numbers: 16 general registers in the order of <see cref="VcpuState"/>, RIP, RFLAGS, CR0 … CR4.</summary>
    private sealed class State
    {
        public const int Control = 18;
        private const int InstructionPointer = 16;
        private const int Flags = 17;

        private readonly Dictionary<int, (ulong Page, ulong Frame, ulong Size)> regions = [];
        private ulong[][] cpus = [];

        /// <summary>How gpregs has them, with rbp before rsp.</summary>
        public static int[] GeneralOrder { get; } = [0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

        public long MemoryOffset { get; set; } = -1;

        public long MemoryLength { get; set; }

        public ulong[]? Cpu(int index) => index >= 0 && index < cpus.Length ? cpus[index] : null;

        public void Take(ArchiveFile file, long at, string name, int index, int second, ulong value)
        {
            string[] general = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
            switch (name)
            {
                case "regionPageNum":
                    Region(file, at, index, r => r with { Page = value & uint.MaxValue });
                    break;
                case "regionPPN":
                    Region(file, at, index, r => r with { Frame = value & uint.MaxValue });
                    break;
                case "regionSize":
                    Region(file, at, index, r => r with { Size = value & uint.MaxValue });
                    break;
                case "cpu:numVCPUs" when cpus.Length == 0:
                    cpus = value is > 0 and <= ArchiveLimits.Vcpus
                        ? [.. Enumerable.Range(0, (int)value).Select(_ => new ulong[24])]
                        : throw file.Bad(at, name, $"{value}, must be 1 … {ArchiveLimits.Vcpus}");
                    break;
                default:
                    if (Cpu(index) is { } cpu)
                    {
                        int register = name switch
                        {
                            "rip" => InstructionPointer,
                            "eflags" or "EFLAGS" => Flags,
                            "CR64" when second is >= 0 and <= 4 => Control + second,
                            _ => Array.IndexOf(general, name),
                        };
                        if (register >= 0)
                        {
                            cpu[register] = value;
                        }
                    }

                    break;
            }
        }

        public DumpContents Contents(ArchiveFile memory, string format, ArchiveFile state)
        {
            long offset = Math.Max(0, MemoryOffset), length = MemoryOffset < 0 ? memory.Length : MemoryLength;
            List<DumpSegment> segments = [];
            foreach ((ulong page, ulong frame, ulong size) in regions.Values)
            {
                if (size == 0)
                {
                    continue;
                }

                if (frame + size > (ulong)ArchiveLimits.PageFrames || (page + size) * PageSize > (ulong)length)
                {
                    throw state.Bad(0, "regionSize", $"{size} pages at page {page} of the memory and {frame} of the machine; the memory has 0x{length:x} bytes");
                }

                segments.Add(new DumpSegment(frame * PageSize, size * PageSize, size * PageSize, offset + (long)(page * PageSize)));
            }

            if (segments.Count == 0)
            {
                if (length == 0 || (ulong)length > (ulong)ArchiveLimits.PageFrames * PageSize)
                {
                    throw state.Bad(0, "memory", $"{length} bytes of memory, must be 1 … {ArchiveLimits.PageFrames * (long)PageSize}");
                }

                segments.Add(new DumpSegment(0, (ulong)length, (ulong)length, offset));
            }

            var notes = new DumpNotes();
            for (int i = 0; i < cpus.Length; i++)
            {
                notes.Add(state, Vcpu(cpus[i]));
            }

            return new DumpContents { Format = format, Pages = new SegmentPages(memory, segments), Notes = notes };
        }

        private static VcpuState Vcpu(ulong[] cpu)
        {
            bool longMode = (cpu[Control] & (1UL << 31)) != 0 && (cpu[Control + 4] & (1 << 5)) != 0;
            return (longMode ? UnknownVcpu.LongMode : UnknownVcpu.RealMode) with
            {
                Gpr = cpu[..16],
                Rip = cpu[InstructionPointer],
                Rflags = cpu[Flags] | 2,
                Cr0 = cpu[Control],
                Cr2 = cpu[Control + 2],
                Cr3 = cpu[Control + 3],
                Cr4 = cpu[Control + 4],
            };
        }

        private void Region(ArchiveFile file, long at, int index, Func<(ulong Page, ulong Frame, ulong Size), (ulong Page, ulong Frame, ulong Size)> change)
        {
            if (index is < 0 or >= ArchiveLimits.VmwareRegions)
            {
                throw file.Bad(at, "region", $"number {index}; there are at most {ArchiveLimits.VmwareRegions}");
            }

            regions[index] = change(regions.GetValueOrDefault(index));
        }
    }
}
