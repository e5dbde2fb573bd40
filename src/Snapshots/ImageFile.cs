using Snapshots.Dumps;
using Snapshots.Kdump;

namespace Snapshots;

/// <summary>What helps to read a dump that does not say everything itself.</summary>
public sealed record ImageOptions
{
    /// <summary>Guest-physical address of the first byte of a file that is RAM and nothing else; null: such a file is refused.</summary>
    public ulong? RawBase { get; init; }

    /// <summary>Finds the guest kernel's VMCOREINFO in RAM. Asked only of dumps that have neither it nor page tables, since it may read all of them.</summary>
    public Func<IPartialView, string?>? FindVmcoreinfo { get; init; }
}

/// <summary>
/// Opens a machine's memory whoever wrote it: archives of ours, ELF vmcores, kdump-compressed files (flattened or not), LiME,
/// VMware's vmss, vmsn and vmem, raw images. The kind shows in the first bytes; names do not count, but for vmem.
/// </summary>
public static class ImageFile
{
    // What is often tried, and what to do about it.
    private static readonly (byte[] Signature, string Advice)[] Known =
    [
        ([0x1F, 0x8B], "it is compressed by gzip; unpack it first"),
        ([0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z'], "it is compressed by xz; unpack it first"),
        ([0x28, 0xB5, 0x2F, 0xFD], "it is compressed by zstd; unpack it first"),
        ([(byte)'B', (byte)'Z', (byte)'h'], "it is compressed by bzip2; unpack it first"),
        ("QEVM"u8.ToArray(), "it is a saved QEMU machine; QEMU's dump-guest-memory writes what can be read"),
        ("LibvirtQemudSave"u8.ToArray(), "it is a saved libvirt domain; `virsh dump --memory-only` writes what can be read"),
        ("PAGEDU64"u8.ToArray(), "it is a dump of Windows"),
        ("DISKDUMP"u8.ToArray(), "it is of diskdump, the predecessor of kdump"),
    ];

    /// <summary>Opens for reading only. Whatever is wrong with the file is an <see cref="ArchiveException"/> that names the place.</summary>
    public static IMachineImage Open(string path, ImageOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new ImageOptions();
        ArchiveFile file = new(path);
        try
        {
            long length = file.Length;
            byte[] start = Start(file);
            if (start.AsSpan().StartsWith(FlattenedFile.Signature))
            {
                file = FlattenedFile.Open(file);
                start = Start(file);
            }

            DumpContents? contents = Read(file, start, options);
            if (contents is not null)
            {
                return new MachineDump(path, length, contents, options);
            }
        }
        catch
        {
            file.Dispose();
            throw;
        }

        file.Dispose();
        return ArchiveReader.Open(path);
    }

    private static byte[] Start(ArchiveFile file)
    {
        byte[] start = new byte[Math.Min(16, file.Length)];
        file.Read(0, start, "signature");
        return start;
    }

    private static DumpContents? Read(ArchiveFile file, byte[] start, ImageOptions options)
    {
        ReadOnlySpan<byte> first = start;
        if (first.StartsWith(KdumpFormat.Signature))
        {
            return KdumpFormat.Read(file);
        }

        if (first.StartsWith(ElfFormat.Signature))
        {
            return ElfFormat.Read(file);
        }

        if (first.StartsWith(FlatFormats.LimeSignature))
        {
            return FlatFormats.ReadLime(file);
        }

        if (VmwareFormat.IsState(first))
        {
            return VmwareFormat.Read(file);
        }

        if (VmwareFormat.StateBeside(file.Path) is { } state)
        {
            return VmwareFormat.ReadBeside(file, state);
        }

        if (options.RawBase is { } address)
        {
            return FlatFormats.ReadRaw(file, address);
        }

        foreach ((byte[] signature, string advice) in Known)
        {
            if (first.StartsWith(signature))
            {
                throw file.Bad(0, "signature", advice);
            }
        }

        throw file.Bad(0, "signature", "this is no dump of a kind that is known; if it is RAM and nothing else, say where it begins (--raw-base 0)");
    }
}
