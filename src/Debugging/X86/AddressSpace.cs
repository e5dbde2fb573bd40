using System.Buffers.Binary;
using Emulator;
using Emulator.Memory;

namespace Debugging.X86;

/// <summary>A stretch of linear addresses that are mapped alike, or not at all.</summary>
/// <param name="Start">First address.</param>
/// <param name="Last">Last address.</param>
/// <param name="Mapped">Whether anything is there.</param>
/// <param name="Writable">Every level allows writes.</param>
/// <param name="User">Every level allows user-mode access.</param>
/// <param name="Executable">No level forbids fetches.</param>
/// <param name="Physical">Physical address of <paramref name="Start"/>.</param>
/// <param name="Contiguous">Physical memory runs on as the addresses do.</param>
internal readonly record struct MappedRange(
    ulong Start, ulong Last, bool Mapped, bool Writable, bool User, bool Executable, ulong Physical, bool Contiguous)
{
    /// <summary>The rights as words are written: rwx and whose.</summary>
    public string Rights => !Mapped ? "---" : $"r{(Writable ? 'w' : '-')}{(Executable ? 'x' : '-')} {(User ? "user" : "kernel")}";

    /// <summary>True when the two differ in nothing but where they are.</summary>
    public bool IsLike(MappedRange other) =>
        Mapped == other.Mapped && Writable == other.Writable && User == other.User && Executable == other.Executable;
}

/// <summary>One table entry that a walk went through.</summary>
/// <param name="Table">The table's name in the SDM.</param>
/// <param name="Index">Which entry of it.</param>
/// <param name="Address">The entry's physical address.</param>
/// <param name="Entry">Its value.</param>
/// <param name="Leaf">It maps a page.</param>
internal readonly record struct WalkStep(string Table, int Index, ulong Address, ulong Entry, bool Leaf);

/// <summary>
/// An address space as its page tables make it, for lists and explanations: unlike <see cref="PageWalker"/> it also says how far
/// what it found reaches. Tables that lead in circles are as good as others; whoever goes through a whole space sets a limit.
/// Source: SDM vol. 3A chapter 4.
/// </summary>
internal sealed class AddressSpace(IMachineView view, PagingRegisters registers)
{
    private const ulong Present = 1, Write = 2, UserAccess = 4, Large = 0x80, NoExecute = 1UL << 63;
    private const ulong AddressMask = 0x000F_FFFF_FFFF_F000;

    private readonly bool paging = (registers.Cr0 & 0x8000_0000) != 0;
    private readonly bool longMode = (registers.Efer & 0x400) != 0;
    private readonly bool pae = (registers.Cr4 & 0x20) != 0;

    private int Levels => longMode ? (registers.Cr4 & 0x1000) != 0 ? 5 : 4 : pae ? 3 : 2;

    private int Width => longMode ? 12 + (9 * Levels) : 32;

    /// <summary>The last linear address there is.</summary>
    public ulong LastAddress => longMode ? ulong.MaxValue : uint.MaxValue;

    /// <summary>The kind of paging in force, in words.</summary>
    public string Kind => !paging ? "no paging" : longMode ? $"{Levels}-level paging" : pae ? "PAE paging" : "32-bit paging";

    /// <summary>What is at an address, and how far one table entry makes it so. <paramref name="steps"/> gets the entries gone through.</summary>
    public MappedRange Find(ulong linear, ICollection<WalkStep>? steps = null)
    {
        if (!longMode && linear > uint.MaxValue)
        {
            return Unmapped(1UL << 32, ulong.MaxValue);
        }

        if (!paging)
        {
            return new MappedRange(0, uint.MaxValue, true, true, true, true, 0, true);
        }

        if (longMode && (long)(linear << (64 - Width)) >> (64 - Width) != (long)linear)
        {
            return Unmapped(1UL << (Width - 1), ulong.MaxValue << (Width - 1));
        }

        bool writable = true, user = true, executable = true;
        int levels = Levels, bits = levels == 2 ? 10 : 9, entrySize = levels == 2 ? 4 : 8;
        ulong table = levels switch { 2 => registers.Cr3 & 0xFFFF_F000, 3 => registers.Cr3 & 0xFFFF_FFE0, _ => registers.Cr3 & AddressMask };
        for (int level = levels; ; level--)
        {
            int shift = 12 + (bits * (level - 1));
            ulong size = 1UL << shift;
            ulong start = linear & ~(size - 1), last = linear | (size - 1);
            int index = (int)((linear >> shift) & (levels == 3 && level == 3 ? 3UL : (1UL << bits) - 1));
            ulong at = table + (ulong)(index * entrySize);
            if (!TryRead(at, entrySize, out ulong entry))
            {
                return Unmapped(start, last);
            }

            bool top3 = levels == 3 && level == 3;
            bool canBeLarge = level > 1 && !top3 && (levels == 2 ? (registers.Cr4 & 0x10) != 0 : level <= 3);
            bool leaf = (entry & Present) != 0 && (level == 1 || (canBeLarge && (entry & Large) != 0));
            steps?.Add(new WalkStep(TableName(level), index, at, entry, leaf));
            if ((entry & Present) == 0)
            {
                return Unmapped(start, last);
            }

            if (!top3)
            {
                writable &= (entry & Write) != 0;
                user &= (entry & UserAccess) != 0;
                executable &= levels == 2 || (registers.Efer & 0x800) == 0 || (entry & NoExecute) == 0;
            }

            if (leaf)
            {
                ulong frame = levels == 2
                    ? level == 2 ? (entry & 0xFFC0_0000) | ((entry & 0x1F_E000) << 19) : entry & 0xFFFF_F000
                    : entry & AddressMask & ~(size - 1);
                return new MappedRange(start, last, true, writable, user, executable, frame, true);
            }

            table = levels == 2 ? entry & 0xFFFF_F000 : entry & AddressMask;
        }
    }

    /// <summary>The range together with what follows it and is like it, at most so many table entries further.</summary>
    public MappedRange Extend(MappedRange range, int most)
    {
        for (int i = 0; i < most && range.Last < LastAddress; i++)
        {
            MappedRange next = Find(range.Last + 1);
            if (!next.IsLike(range))
            {
                break;
            }

            bool contiguous = range.Contiguous && (!range.Mapped || next.Physical == range.Physical + (next.Start - range.Start));
            range = range with { Last = next.Last, Contiguous = contiguous };
        }

        return range;
    }

    private static MappedRange Unmapped(ulong start, ulong last) => new(start, last, false, false, false, false, 0, true);

    private static string TableName(int level) => level switch
    {
        5 => "PML5",
        4 => "PML4",
        3 => "PDPT",
        2 => "PD",
        _ => "PT",
    };

    private bool TryRead(ulong address, int size, out ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        bytes.Clear();
        bool read = view.ReadPhysical(address, bytes[..size]) == size;
        value = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        return read;
    }
}
