using Emulator;
using GuestOs.Linux;
using Snapshots;

namespace Cli.Archives;

/// <summary>The form of an exported file.</summary>
internal enum DumpForm
{
    /// <summary>An ELF vmcore.</summary>
    Elf,

    /// <summary>kdump-compressed with zstd pages, as archives are.</summary>
    Kdump,

    /// <summary>kdump-compressed with zlib pages.</summary>
    KdumpZlib,

    /// <summary>RAM alone.</summary>
    Raw,
}

/// <summary>What an exported file leaves out, by makedumpfile's bits of -d.</summary>
[Flags]
internal enum PageFilter
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Zeros.</summary>
    Zero = 1,

    /// <summary>The cache of files, with buffers and without.</summary>
    Cache = 2 | 4,

    /// <summary>Processes' own pages.</summary>
    User = 8,

    /// <summary>Free pages.</summary>
    Free = 16,
}

/// <summary>A machine as a file for other tools.</summary>
internal static class DumpFile
{
    /// <summary>Writes it. What a page is used for is the guest kernel's word; a guest that does not tell is a <see cref="UserError"/>.</summary>
    public static void Write(string path, IMachineImage image, CaptureInfo capture, DumpForm form, PageFilter filter, IProgress<ArchiveProgress> progress)
    {
        IMachineView view = (filter & ~PageFilter.Zero) == 0 ? image : Filter(image, filter, form == DumpForm.Elf ? DumpExport.MaximumSegments : int.MaxValue);
        if (form is DumpForm.Elf or DumpForm.Raw)
        {
            DumpExport.Write(
                path, view, capture, form == DumpForm.Raw ? ExportFormat.Raw : ExportFormat.Elf, (filter & PageFilter.Zero) != 0, progress);
            return;
        }

        // Pages of zeros are there but once, which is what leaving them out comes to in this form.
        var options = new ArchiveWriterOptions { Compression = form == DumpForm.KdumpZlib ? PageCompression.Zlib : PageCompression.Zstd };
        ArchiveWriter.Write(
            path, "0", view, (image as ArchiveReader)?.SavedState, capture with { DumpLevel = capture.DumpLevel | (int)filter }, options, progress);
    }

    private static FilteredView Filter(IMachineImage image, PageFilter filter, int maximumRuns)
    {
        if (LinuxKernel.Find(image) is not { } kernel)
        {
            throw new UserError($"{image.Path}: no Linux kernel was found that could tell what its pages are used for: leave --filter out, or give zero alone");
        }

        if (PageUses.Read(kernel.Memory, image.Ram, out string? whyNot) is not { } uses)
        {
            throw new UserError($"{image.Path}: the guest's kernel does not tell what its pages are used for ({whyNot}): leave --filter out, or give zero alone");
        }

        return new FilteredView(image, address => (Bit(uses[address]) & filter) != 0, maximumRuns);
    }

    private static PageFilter Bit(PageUse use) => use switch
    {
        PageUse.Free => PageFilter.Free,
        PageUse.Cache or PageUse.CachePrivate => PageFilter.Cache,
        PageUse.User => PageFilter.User,
        _ => PageFilter.None,
    };
}
