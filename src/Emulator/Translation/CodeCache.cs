using Emulator.Cpu;
using Emulator.Memory;

namespace Emulator.Translation;

/// <summary>
/// The memory translated code lives in and touches by absolute address, all of it below 2 GiB: CPU state, fast TLB
/// tables, jump caches, sites, hot code, cold code. When one part is full everything is thrown away.
/// </summary>
internal sealed unsafe class CodeCache : IDisposable
{
    internal const int JumpEntries = 1 << JumpBits;
    private const int JumpBits = 14;

    /// <summary>What a jump cache is indexed by: the address, exclusive-or the same shifted right by so much.</summary>
    internal const int JumpShift = 12;

    private const int Modes = 3, MaxLinks = 1 << 18;
    private const nuint TlbOffset = 4096;
    private const nuint JumpsOffset = TlbOffset + ((SoftTlb.FastBytes + 4095) & ~4095u);
    private const nuint SitesOffset = JumpsOffset + (Modes * JumpEntries * 16);
    private const nuint Total = 64u << 20, SitesSize = 12u << 20, HotSize = 28u << 20;

    // The most one block can need of each part.
    private const nuint Margin = 64 << 10;

    private readonly byte* start;
    private readonly int[] slotHeads = new int[SoftTlb.FetchEntries];
    private readonly uint[] linkEntries = new uint[MaxLinks];
    private readonly int[] linkNext = new int[MaxLinks];
    private int freeLink;
    private long emitted;
    private readonly byte* hotStart;
    private readonly byte* coldStart;
    private byte* sites;

    private CodeCache(byte* start)
    {
        this.start = start;
        Hot = new HostEmitter(start + SitesOffset + SitesSize);
        Cold = new HostEmitter(start + SitesOffset + SitesSize + HotSize);
        Trampolines = new Trampolines((uint)(nuint)start, Hot);
        hotStart = Hot.At;
        coldStart = Cold.At;
        sites = start + SitesOffset;
        ForgetJumps();
    }

    internal HostEmitter Hot { get; }

    internal HostEmitter Cold { get; }

    internal Trampolines Trampolines { get; }

    internal CpuState* State => (CpuState*)start;

    internal TlbEntry* Tlb => (TlbEntry*)(start + TlbOffset);

    /// <summary>Bytes of machine code emitted since the start.</summary>
    internal long BytesEmitted => emitted + (Hot.At - hotStart) + (Cold.At - coldStart);

    /// <summary>How often everything was thrown away.</summary>
    internal long Cleared { get; private set; }

    /// <summary>True while one more block certainly fits.</summary>
    internal bool HasRoom =>
        Hot.At + Margin < start + SitesOffset + SitesSize + HotSize && Cold.At + Margin < start + Total
        && sites + Margin < start + SitesOffset + SitesSize;

    /// <summary>A cache, or null where the host cannot run translated code.</summary>
    internal static CodeCache? TryCreate()
    {
        if (!OperatingSystem.IsLinux() || !System.Runtime.Intrinsics.X86.Bmi2.X64.IsSupported)
        {
            return null;
        }

        byte* start = HostMemory.MapCode(Total);
        if ((nuint)start + Total <= int.MaxValue)
        {
            return new CodeCache(start);
        }

        HostMemory.Release(start, Total);
        return null;
    }

    /// <summary>Address of a mode's jump cache: pairs of guest address and code.</summary>
    internal uint JumpCache(AccessMode mode) => (uint)((nuint)start + JumpsOffset) + ((uint)mode * JumpEntries * 16);

    internal static uint JumpIndex(ulong rip) => (uint)(rip ^ (rip >> JumpShift)) & (JumpEntries - 1);

    internal Site* AddSite()
    {
        Site* site = (Site*)sites;
        sites += sizeof(Site);
        *site = default;
        return site;
    }

    /// <summary>Lets jumps to an address find its code as long as its page's fetch translation stays in its slot.</summary>
    internal void AddJump(AccessMode mode, ulong rip, nint code, int slot)
    {
        if (freeLink == MaxLinks)
        {
            ForgetJumps();
        }

        uint entry = JumpCache(mode) + (JumpIndex(rip) * 16);
        ((ulong*)entry)[0] = rip;
        ((ulong*)entry)[1] = (ulong)code;
        linkEntries[freeLink] = entry;
        linkNext[freeLink] = slotHeads[slot];
        slotHeads[slot] = freeLink++;
    }

    /// <summary>A fetch translation is gone: whoever jumps into its page must ask for a new one.</summary>
    internal void FetchDropped(int slot)
    {
        for (int link = slotHeads[slot]; link >= 0; link = linkNext[link])
        {
            Forget((ulong*)linkEntries[link]);
        }

        slotHeads[slot] = -1;
    }

    /// <summary>A block is gone: no jump leads to it any more.</summary>
    internal void Forget(Block* block)
    {
        ulong* entry = (ulong*)(JumpCache(Translator.ModeOf(block->Mode)) + (JumpIndex(block->Rip) * 16));
        if (entry[1] == (ulong)block->Code)
        {
            Forget(entry);
        }

        Translator.Unlink(block);
    }

    /// <summary>Throws all code away.</summary>
    internal void Clear()
    {
        emitted = BytesEmitted;
        Cleared++;
        Hot.At = hotStart;
        Cold.At = coldStart;
        sites = start + SitesOffset;
        ForgetJumps();
    }

    /// <summary>Empties the jump caches.</summary>
    internal void ForgetJumps()
    {
        ulong* entries = (ulong*)(start + JumpsOffset);
        for (int i = 0; i < Modes * JumpEntries; i++)
        {
            Forget(entries + (i * 2));
        }

        Array.Fill(slotHeads, -1);
        freeLink = 0;
    }

    // An empty entry names an address that never looks there.
    private void Forget(ulong* entry) =>
        *entry = ((nuint)entry - (nuint)(start + JumpsOffset)) / 16 % JumpEntries == 0 ? 1u : 0u;

    public void Dispose() => HostMemory.Release(start, Total);
}
