namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>
/// Where code and data of a sequence stand: the same linear addresses in the guest and on the host. Data pages 0 and 1
/// and the page behind them are neighbours, with a page that is not present on either side; page 2 falls into the same
/// slot of a direct-mapped TLB of 1024 entries as page 0.
/// </summary>
internal readonly record struct SequenceLayout(ulong Start)
{
    internal const int PageSize = 4096, CodePages = 4;

    /// <summary>Bytes from <see cref="Start"/> to the last one used.</summary>
    internal const int Size = 0x45_0000;

    internal const int CodeOffset = 0x1_0000, HandlersOffset = 0x1_8000, StopTableOffset = 0x1_9000, ResumeTableOffset = 0x1_A000,
        TaskStateOffset = 0x1_B000, DescriptorsOffset = 0x1_C000, KernelStackOffset = 0x1_D000, PageTableOffset = 0x1_E000,
        VariablesOffset = 0x1_F000, DataOffset = 0x4_0000, AliasedOffset = 0x44_0000, CodeAliasOffset = 0x6_0000;

    /// <summary>Where a guest's GS points: far from the data, so that a forgotten base shows.</summary>
    internal ulong GsBase => Start - 0x0800_0000 + 0x18;

    /// <summary>Where a guest's FS points.</summary>
    internal ulong FsBase => Start - 0x0A00_0000 + 0x28;

    internal ulong Code => Start + CodeOffset;

    /// <summary>Stubs of the exception vectors, sixteen bytes each.</summary>
    internal ulong Handlers => Start + HandlersOffset;

    /// <summary>Data page 0; page 1 follows.</summary>
    internal ulong Data => Start + DataOffset;

    internal ulong ReadOnly => Data + (2 * PageSize);

    /// <summary>Not present; the page before <see cref="Data"/> is not either.</summary>
    internal ulong Absent => Data + (3 * PageSize);

    /// <summary>Out of reach of user code.</summary>
    internal ulong Supervisor => Data + (4 * PageSize);

    /// <summary>Data page 2.</summary>
    internal ulong Aliased => Start + AliasedOffset;

    /// <summary>The code pages once more.</summary>
    internal ulong CodeAlias => Start + CodeAliasOffset;
}
