using Emulator.Cpu;
using Emulator.Memory;

namespace Emulator.Translation;

/// <summary>
/// The memory translated code lives in and touches by absolute address, all of it below 2 GiB: CPU state, fast TLB
/// tables, jump caches, sites, hot code, cold code. When one part is full everything is thrown away.
/// </summary>
internal sealed unsafe class CodeCache : IDisposable
{
    private const nuint TlbOffset = 4096;
    private const nuint JumpsOffset = TlbOffset + ((SoftTlb.FastBytes + 4095) & ~4095u);
    private const nuint SitesOffset = JumpsOffset + JumpCache.Bytes;
    private const nuint Total = 96u << 20, SitesSize = 24u << 20, HotSize = 40u << 20;

    // The most one block can need of each part.
    private const nuint Margin = 64 << 10;

    private readonly byte* start;
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
        Jumps = new JumpCache(start + JumpsOffset);
    }

    internal JumpCache Jumps { get; }

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

    internal Site* AddSite()
    {
        Site* site = (Site*)sites;
        sites += sizeof(Site);
        *site = default;
        return site;
    }

    /// <summary>A block is gone: no jump leads to it any more.</summary>
    internal void Forget(Block* block)
    {
        Jumps.Forget(block);
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
        Jumps.Clear();
    }

    public void Dispose() => HostMemory.Release(start, Total);
}
