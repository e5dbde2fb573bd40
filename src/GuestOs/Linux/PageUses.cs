using System.Buffers.Binary;
using Emulator;
using Emulator.Memory;

namespace GuestOs.Linux;

/// <summary>What a kernel uses a page frame for.</summary>
public enum PageUse : byte
{
    /// <summary>The kernel keeps no record of it: firmware's, or not RAM to it.</summary>
    Unknown,

    /// <summary>Free, in the hands of the page allocator.</summary>
    Free,

    /// <summary>A file's page that can be read again.</summary>
    Cache,

    /// <summary>The same with buffers of a file system's.</summary>
    CachePrivate,

    /// <summary>A process's: anonymous, or of hugetlbfs.</summary>
    User,

    /// <summary>The kernel's objects.</summary>
    Slab,

    /// <summary>The kernel's own: its image, page tables, stacks, buffers, reserved memory.</summary>
    Kernel,
}

/// <summary>
/// What every page frame of a Linux guest is used for, from the kernel's array of struct page (mm/sparse.c), found by
/// VMCOREINFO alone. The rules are those by which makedumpfile leaves pages out (its man page, "dump_level";
/// Documentation/admin-guide/kdump/vmcoreinfo.rst for the fields): a page that no rule is sure of is the kernel's.
/// </summary>
public sealed class PageUses
{
    /// <summary>Bytes of a struct page believed; it has 64.</summary>
    public const int MaxPageBytes = 512;

    private const int ChunkPages = 2048;
    private const ulong PageSize = GuestMemory.PageSize;

    // The low bits of section_mem_map are flags, and the address is that of an array.
    private const ulong MapMask = ~0x3FUL;

    private readonly PhysicalRange[] ranges;
    private readonly PageUse[][] uses;

    private PageUses(IReadOnlyList<PhysicalRange> ram)
    {
        ranges = [.. ram];
        uses = [.. ram.Select(range => new PageUse[range.Length / PageSize])];
    }

    /// <summary>The use of the page at a guest-physical address; <see cref="PageUse.Unknown"/> outside of RAM.</summary>
    public PageUse this[ulong address]
    {
        get
        {
            int index = IndexOf(address);
            return index < 0 ? PageUse.Unknown : uses[index][(address - ranges[index].Start) / PageSize];
        }
    }

    /// <summary>Reads them all; null, with the reason, when the kernel does not say where its page array is.</summary>
    /// <param name="memory">The kernel's memory.</param>
    /// <param name="ram">The machine's RAM.</param>
    /// <param name="whyNot">Why not.</param>
    public static PageUses? Read(KernelMemory memory, IReadOnlyList<PhysicalRange> ram, out string? whyNot)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(ram);
        if (StructPage.Find(memory.Info, out whyNot) is not { } page || SectionMap.Find(memory, page.Size, out whyNot) is not { } map)
        {
            return null;
        }

        var found = new PageUses(ram);
        new Walk(memory, page, map, found).All();
        return found;
    }

    private int IndexOf(ulong address)
    {
        int low = 0, high = ranges.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (ranges[middle].Start <= address)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low > 0 && address - ranges[low - 1].Start < (ulong)uses[low - 1].Length * PageSize ? low - 1 : -1;
    }

    private void Set(ulong frame, PageUse use)
    {
        ulong address = frame * PageSize;
        if (IndexOf(address) is >= 0 and var index)
        {
            uses[index][(address - ranges[index].Start) / PageSize] = use;
        }
    }

    /// <summary>Where struct page has what decides, by VMCOREINFO's OFFSET, SIZE and NUMBER lines.</summary>
    private sealed record StructPage(int Size, int Flags, int Mapping, int MapCount, int Private, int Head)
    {
        private const ulong Anonymous = 1;

        public int Lru { get; private init; }

        public int PrivateBit { get; private init; }

        public int SwapCache { get; private init; } = -1;

        public int SwapBacked { get; private init; } = -1;

        public int SlabBit { get; private init; } = -1;

        public uint Buddy { get; private init; }

        public uint SlabType { get; private init; }

        public uint HugeType { get; private init; }

        public uint OfflineType { get; private init; }

        public int Destructor { get; private init; } = -1;

        public long HugeDestructor { get; private init; } = -1;

        public int Orders { get; private init; }

        public static StructPage? Find(VmCoreInfo info, out string? whyNot)
        {
            whyNot = "VMCOREINFO does not describe struct page";
            if (!info.TryGetSize("page", out int size) || size is < 32 or > MaxPageBytes
                || !info.TryGetOffset("page.flags", out int flags) || !info.TryGetOffset("page.mapping", out int mapping)
                || !info.TryGetOffset("page._mapcount", out int count) || !info.TryGetOffset("page.private", out int own)
                || !info.TryGetNumber("PG_lru", out long lru) || !info.TryGetNumber("PG_private", out long bit)
                || !info.TryGetNumber("PAGE_BUDDY_MAPCOUNT_VALUE", out long buddy))
            {
                return null;
            }

            int head = info.TryGetOffset("page.compound_head", out int at) ? at : -1;
            if (Math.Max(Math.Max(flags, mapping), Math.Max(own, head)) > size - 8 || count > size - 4 || lru is < 0 or > 63 || bit is < 0 or > 63)
            {
                whyNot = "VMCOREINFO puts members of struct page outside of it";
                return null;
            }

            whyNot = null;
            return new StructPage(size, flags, mapping, count, own, head)
            {
                Lru = (int)lru,
                PrivateBit = (int)bit,
                SwapCache = Bit("PG_swapcache"),
                SwapBacked = Bit("PG_swapbacked"),
                SlabBit = Bit("PG_slab"),
                Buddy = unchecked((uint)buddy),
                SlabType = Type("PAGE_SLAB_MAPCOUNT_VALUE"),
                HugeType = Type("PAGE_HUGETLB_MAPCOUNT_VALUE"),
                OfflineType = Type("PAGE_OFFLINE_MAPCOUNT_VALUE"),
                Destructor = info.TryGetOffset("page.compound_dtor", out int destructor) && destructor < size ? destructor : -1,
                HugeDestructor = info.TryGetNumber("HUGETLB_PAGE_DTOR", out long huge) ? huge : -1,
                Orders = info.TryGetLength("zone.free_area", out int orders) && orders is > 0 and < 32 ? orders : 11,
            };

            int Bit(string name) => info.TryGetNumber(name, out long number) && number is >= 0 and < 64 ? (int)number : -1;

            uint Type(string name) => info.TryGetNumber(name, out long number) ? unchecked((uint)number) : 0;
        }

        /// <summary>The use of a page that is no tail. <paramref name="next"/> is the struct page behind it; empty when it was not read.</summary>
        public PageUse Classify(ReadOnlySpan<byte> page, ReadOnlySpan<byte> next, out int order)
        {
            order = 0;
            ulong flags = BinaryPrimitives.ReadUInt64LittleEndian(page[Flags..]);
            ulong mapping = BinaryPrimitives.ReadUInt64LittleEndian(page[Mapping..]);
            uint type = BinaryPrimitives.ReadUInt32LittleEndian(page[MapCount..]);
            bool slab = Has(flags, SlabBit) || Is(type, SlabType);
            if (slab)
            {
                return PageUse.Slab;
            }

            if (Is(type, Buddy))
            {
                order = (int)Math.Min(BinaryPrimitives.ReadUInt64LittleEndian(page[Private..]), (ulong)Orders - 1);
                return PageUse.Free;
            }

            bool anonymous = (mapping & Anonymous) != 0;
            bool cached = Has(flags, Lru) || ((SwapBacked < 0 || Has(flags, SwapBacked)) && Has(flags, SwapCache));
            if (cached && !anonymous)
            {
                return Has(flags, PrivateBit) ? PageUse.CachePrivate : PageUse.Cache;
            }

            bool huge = Is(type, HugeType) || (Destructor >= 0 && HugeDestructor > 0 && IsHead(page, next) && next[Destructor] == HugeDestructor);
            return anonymous || huge || Is(type, OfflineType) ? PageUse.User : PageUse.Kernel;
        }

        /// <summary>The address of the head of the compound page a tail belongs to; 0 of any other page.</summary>
        public ulong HeadOf(ReadOnlySpan<byte> page)
        {
            ulong head = Head < 0 ? 0 : BinaryPrimitives.ReadUInt64LittleEndian(page[Head..]);
            return (head & 1) != 0 ? head - 1 : 0;
        }

        private bool IsHead(ReadOnlySpan<byte> page, ReadOnlySpan<byte> next) => next.Length == page.Length && HeadOf(next) != 0;

        private static bool Has(ulong flags, int bit) => bit >= 0 && (flags >> bit & 1) != 0;

        // From 6.12 on the type is the top byte alone; before, the whole number tells it.
        private static bool Is(uint type, uint wanted) => wanted != 0 && (type == wanted || ((wanted & 0xFF_FFFF) == 0 && (type ^ wanted) >> 24 == 0));
    }

    /// <summary>The sections of physical memory, each with its part of the page array (SPARSEMEM_EXTREME).</summary>
    private sealed record SectionMap(ulong Roots, int RootCount, int EntrySize, int MapOffset, int Shift, int PageBytes)
    {
        public ulong Frames => 1UL << (Shift - 12);

        public static SectionMap? Find(KernelMemory memory, int pageBytes, out string? whyNot)
        {
            VmCoreInfo info = memory.Info;
            whyNot = "VMCOREINFO does not describe mem_section";
            if (!info.TryGetSymbol("mem_section", out ulong roots) || !info.TryGetLength("mem_section", out int count)
                || !info.TryGetSize("mem_section", out int size) || !info.TryGetOffset("mem_section.section_mem_map", out int map)
                || size is < 8 or > 4096 || map > size - 8 || count is < 1 or > 1 << 20)
            {
                return null;
            }

            long shift = info.TryGetNumber("SECTION_SIZE_BITS", out long bits) ? bits : 27;
            if (shift is < 20 or > 40)
            {
                return null;
            }

            whyNot = null;
            return new SectionMap(roots, count, size, map, (int)shift, pageBytes);
        }

        /// <summary>Where struct page of frame 0 would be for this section's frames; 0 when the section has no pages.</summary>
        public ulong Base(KernelMemory memory, ulong section)
        {
            ulong perRoot = PageSize / (ulong)EntrySize, root = section / perRoot;
            return root < (ulong)RootCount && memory.TryRead(Roots + (8 * root), out ulong entries) && entries != 0
                && memory.TryRead(entries + (section % perRoot * (ulong)EntrySize) + (ulong)MapOffset, out ulong map)
                ? map & MapMask
                : 0;
        }
    }

    /// <summary>One pass over the page array, in frames' order.</summary>
    private sealed class Walk(KernelMemory memory, StructPage layout, SectionMap sections, PageUses found)
    {
        private readonly byte[] pages = new byte[ChunkPages * layout.Size];
        private ulong firstFrame;
        private int read;
        private ulong freeUntil;

        public void All()
        {
            foreach (PhysicalRange range in found.ranges)
            {
                for (ulong frame = range.Start / PageSize, end = (range.Start + range.Length) / PageSize; frame < end;)
                {
                    ulong sectionEnd = Math.Min(end, (frame / sections.Frames + 1) * sections.Frames);
                    if (sections.Base(memory, frame / sections.Frames) is not 0 and var zero)
                    {
                        Section(frame, sectionEnd, zero);
                    }

                    frame = sectionEnd;
                }
            }
        }

        private void Section(ulong frame, ulong end, ulong zero)
        {
            for (; frame < end; frame += ChunkPages)
            {
                int count = (int)Math.Min(ChunkPages, end - frame);
                firstFrame = frame;
                read = memory.Read(unchecked(zero + (frame * (ulong)layout.Size)), pages.AsSpan(0, count * layout.Size)) / layout.Size;
                for (int i = 0; i < read; i++)
                {
                    Page(i, zero);
                }
            }
        }

        private void Page(int index, ulong zero)
        {
            ulong frame = firstFrame + (ulong)index;
            ReadOnlySpan<byte> page = pages.AsSpan(index * layout.Size, layout.Size);
            if (frame < freeUntil)
            {
                found.Set(frame, PageUse.Free);
                return;
            }

            if (layout.HeadOf(page) is not 0 and var head)
            {
                // Tails come after their head, which has been seen.
                ulong offset = unchecked(head - zero);
                found.Set(frame, offset % (ulong)layout.Size == 0 && offset / (ulong)layout.Size < frame ? found[offset / (ulong)layout.Size * PageSize] : PageUse.Kernel);
                return;
            }

            ReadOnlySpan<byte> next = index + 1 < read ? pages.AsSpan((index + 1) * layout.Size, layout.Size) : [];
            PageUse use = layout.Classify(page, next, out int order);
            found.Set(frame, use);
            if (use == PageUse.Free)
            {
                freeUntil = frame + (1UL << order);
            }
        }
    }
}
