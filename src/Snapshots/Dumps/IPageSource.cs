using Emulator;

namespace Snapshots.Dumps;

/// <summary>What a dump has of a page.</summary>
internal enum PageContent
{
    /// <summary>It is not RAM, or the dump knows nothing of it.</summary>
    NotRam,

    /// <summary>RAM whose contents were left out.</summary>
    LeftOut,

    /// <summary>Zeros, as the dump's own description says.</summary>
    Zeros,

    /// <summary>It has contents.</summary>
    Stored,
}

/// <summary>A dump's pages, by page frame number. One caller at a time.</summary>
internal interface IPageSource : IDisposable
{
    /// <summary>RAM in whole pages, ascending, not overlapping.</summary>
    IReadOnlyList<PhysicalRange> Ram { get; }

    /// <summary>What there is of a page, without reading its contents.</summary>
    PageContent Look(long frame);

    /// <summary>Fills a page that <see cref="Look"/> says is stored.</summary>
    void Read(long frame, Span<byte> page);
}
