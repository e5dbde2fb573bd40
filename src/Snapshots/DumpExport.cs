using System.Buffers.Binary;
using System.Text;
using Emulator;
using Microsoft.Win32.SafeHandles;
using Snapshots.Dumps;
using Snapshots.Kdump;

namespace Snapshots;

/// <summary>A form in which others read a machine's memory.</summary>
public enum ExportFormat
{
    /// <summary>An ELF vmcore: crash, drgn, gdb, makedumpfile.</summary>
    Elf,

    /// <summary>RAM alone, from physical address 0 on; what is not RAM is zeros.</summary>
    Raw,
}

/// <summary>
/// Writes a machine for other tools. Pages of zeros become holes of the file, so that it takes less room than it is long.
/// The file appears under its name only when it is whole and on the disk.
/// </summary>
public static class DumpExport
{
    private const int ChunkBytes = 64 << 10;
    private const ulong SharedZeros = 4 << 20;
    private const int HeaderSize = 64;
    private const int ProgramHeaderSize = 56;

    /// <summary>Segments of an ELF file. The count in its header has 16 bits, and the kernel's image takes some of them a second time.</summary>
    public const int MaximumSegments = 30_000;

    /// <summary>
    /// Writes <paramref name="path"/>, which must not exist. With <paramref name="leaveOutZeros"/> an ELF file holds runs of
    /// zeros of 64 KiB and more once: all segments of zeros show the same place of the file. Pages that a partial view lacks are no memory of an ELF
    /// file's; a raw image cannot lack any. Throws <see cref="ArchiveException"/>.
    /// </summary>
    public static void Write(
        string path, IMachineView view, CaptureInfo info, ExportFormat format, bool leaveOutZeros = false,
        IProgress<ArchiveProgress>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(info);
        string temporary = $"{path}.{Guid.NewGuid():n}.partial";
        bool renamed = false;
        try
        {
            if (File.Exists(path))
            {
                throw new ArchiveException($"{path}: the file exists; a dump is never overwritten");
            }

            using (SafeFileHandle handle = HostFiles.CreateNew(temporary))
            {
                List<Segment> segments = format == ExportFormat.Raw ? [.. view.Ram.Select(r => new Segment(r.Start, r.Length, false))]
                    : leaveOutZeros ? WithoutZeros(view)
                    : [.. Present(view).Select(r => new Segment(r.Start, r.Length, false))];
                if (segments.Count > MaximumSegments)
                {
                    throw new ArchiveException($"{path}: the memory is in {segments.Count} pieces, and an ELF file has room for {MaximumSegments}: write it as kdump-compressed");
                }

                long length = format == ExportFormat.Elf ? WriteElf(handle, view, info, segments) : Place(segments, 0, raw: true);
                WriteMemory(handle, view, segments, progress, cancellation);
                RandomAccess.SetLength(handle, length);
                RandomAccess.FlushToDisk(handle);
            }

            File.Move(temporary, path, overwrite: false);
            renamed = true;
            HostFiles.FlushDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or (IOException and not ArchiveException))
        {
            throw new ArchiveException($"{path}: the dump could not be written: {e.Message}", e);
        }
        finally
        {
            if (!renamed)
            {
                TryDelete(temporary);
            }
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The error that brought us here matters more.
        }
    }

    /// <summary>Headers and notes; gives each segment its place and returns the file's length.</summary>
    private static long WriteElf(SafeFileHandle handle, IMachineView view, CaptureInfo info, List<Segment> segments)
    {
        byte[] notes = Notes(view, info);
        (ulong Virtual, ulong Physical, ulong Length)? image = KernelMaps.Image(view, info.Vmcoreinfo);
        List<Segment> mapped = image is { } kernel
            ? segments.FindAll(s => s.Start < kernel.Physical + kernel.Length && kernel.Physical < s.Start + s.Length)
            : [];
        int count = 1 + segments.Count + mapped.Count;
        int head = HeaderSize + (count * ProgramHeaderSize);
        long length = Place(segments, (head + notes.Length + 4095) & ~4095L, raw: false);
        byte[] bytes = new byte[head + notes.Length];
        "\u007FELF"u8.CopyTo(bytes);
        bytes[4] = 2;
        bytes[5] = bytes[6] = 1;
        Put16(bytes, 16, 4); // ET_CORE
        Put16(bytes, 18, 62); // EM_X86_64
        Put32(bytes, 20, 1);
        Put64(bytes, 32, HeaderSize);
        Put16(bytes, 52, HeaderSize);
        Put16(bytes, 54, ProgramHeaderSize);
        Put16(bytes, 56, (ushort)count);
        int at = HeaderSize;
        Header(4, 0, head, 0, 0, (ulong)notes.Length);
        foreach (Segment segment in mapped)
        {
            (ulong linear, ulong physical, ulong bytesMapped) = image!.Value;
            ulong from = Math.Max(physical, segment.Start);
            ulong memory = Math.Min(physical + bytesMapped, segment.Start + segment.Length) - from;
            Header(1, 7, segment.Offset + (long)(from - segment.Start), linear + (from - physical), from, memory);
        }

        ulong direct = KernelMaps.DirectMap(view);
        foreach (Segment segment in segments)
        {
            Header(1, 7, segment.Offset, direct + segment.Start, segment.Start, segment.Length);
        }

        notes.CopyTo(bytes, head);
        RandomAccess.Write(handle, bytes, 0);
        return length;

        // As long in the file as in memory: makedumpfile 1.7.2 dies of segments that end in zeros the file does not have.
        void Header(int type, int flags, long offset, ulong address, ulong physical, ulong size)
        {
            Put32(bytes, at, type);
            Put32(bytes, at + 4, flags);
            Put64(bytes, at + 8, (ulong)offset);
            Put64(bytes, at + 16, address);
            Put64(bytes, at + 24, physical);
            Put64(bytes, at + 32, size);
            Put64(bytes, at + 40, size);
            at += ProgramHeaderSize;
        }
    }

    private static byte[] Notes(IMachineView view, CaptureInfo info)
    {
        byte[] text = Encoding.Latin1.GetBytes(info.Vmcoreinfo ?? "");
        byte[] bytes = new byte[(view.Vcpus.Count * (ElfNote.Size("CORE", PrStatus.Size) + ElfNote.Size("QEMU", QemuNote.Size)))
            + (text.Length == 0 ? 0 : ElfNote.Size("VMCOREINFO", text.Length))];
        int at = 0;
        for (int i = 0; i < view.Vcpus.Count; i++)
        {
            ElfNote note = ElfNote.Write(bytes, at, "CORE", ElfNote.PrStatus, PrStatus.Size);
            PrStatus.Write(bytes.AsSpan(note.DescriptorOffset, PrStatus.Size), view.Vcpus[i], (info.RunningProcesses ?? []).ElementAtOrDefault(i));
            at = note.End;
        }

        if (text.Length != 0)
        {
            ElfNote note = ElfNote.Write(bytes, at, "VMCOREINFO", 0, text.Length);
            text.CopyTo(bytes, note.DescriptorOffset);
            at = note.End;
        }

        foreach (VcpuState cpu in view.Vcpus)
        {
            ElfNote note = ElfNote.Write(bytes, at, "QEMU", 0, QemuNote.Size);
            QemuNote.Write(bytes.AsSpan(note.DescriptorOffset, QemuNote.Size), cpu);
            at = note.End;
        }

        return bytes;
    }

    private static long Place(List<Segment> segments, long start, bool raw)
    {
        long end = start;
        foreach (Segment segment in segments.Where(s => !s.IsZeros))
        {
            segment.Offset = raw ? (long)segment.Start : end;
            end = segment.Offset + (long)segment.Length;
        }

        // The zeros that all segments of zeros share: a hole behind everything else.
        foreach (Segment segment in segments.Where(s => s.IsZeros))
        {
            segment.Offset = end;
        }

        return end + (long)segments.Where(s => s.IsZeros).Select(s => s.Length).DefaultIfEmpty().Max();
    }

    private static void WriteMemory(
        SafeFileHandle handle, IMachineView view, List<Segment> segments, IProgress<ArchiveProgress>? progress, CancellationToken cancellation)
    {
        byte[] chunk = new byte[ChunkBytes];
        List<Segment> stored = segments.FindAll(s => !s.IsZeros);
        long total = stored.Sum(s => (long)s.Length) / KdumpHeader.BlockSize, done = 0, written = 0;
        foreach (Segment segment in stored)
        {
            for (ulong at = 0; at < segment.Length; at += (ulong)ChunkBytes)
            {
                cancellation.ThrowIfCancellationRequested();
                Span<byte> bytes = Read(view, segment.Start + at, chunk.AsSpan(0, (int)Math.Min(ChunkBytes, segment.Length - at)));
                if (bytes.ContainsAnyExcept((byte)0))
                {
                    RandomAccess.Write(handle, bytes, segment.Offset + (long)at);
                    written += bytes.Length;
                }

                done += bytes.Length / KdumpHeader.BlockSize;
                progress?.Report(new ArchiveProgress(done, total, written));
            }
        }
    }

    /// <summary>Runs of chunks that are zeros and runs that are not; when there are too many, zeros stay with what is before them.</summary>
    private static List<Segment> WithoutZeros(IMachineView view)
    {
        List<Segment> segments = [];
        byte[] chunk = new byte[ChunkBytes];
        foreach (PhysicalRange range in Present(view))
        {
            Segment? last = null;
            for (ulong at = 0; at < range.Length; at += (ulong)ChunkBytes)
            {
                Span<byte> bytes = Read(view, range.Start + at, chunk.AsSpan(0, (int)Math.Min(ChunkBytes, range.Length - at)));
                bool zeros = !bytes.ContainsAnyExcept((byte)0) && (last is null || last.IsZeros || segments.Count < MaximumSegments / 2);
                if (last is null || last.IsZeros != zeros || (zeros && last.Length >= SharedZeros))
                {
                    segments.Add(last = new Segment(range.Start + at, 0, zeros));
                }

                last.Length += (ulong)bytes.Length;
            }
        }

        return segments;
    }

    /// <summary>RAM without the pages that a partial view lacks.</summary>
    private static List<PhysicalRange> Present(IMachineView view)
    {
        if (view is not IPartialView partial)
        {
            return [.. view.Ram];
        }

        List<PhysicalRange> present = [];
        foreach (PhysicalRange range in view.Ram)
        {
            ulong start = range.Start;
            for (ulong at = range.Start, end = range.Start + range.Length; at <= end; at += KdumpHeader.BlockSize)
            {
                if (at == end || partial.IsLeftOut(at))
                {
                    if (at > start)
                    {
                        present.Add(new PhysicalRange(start, at - start));
                    }

                    start = at + KdumpHeader.BlockSize;
                }
            }
        }

        return present;
    }

    private static Span<byte> Read(IMachineView view, ulong address, Span<byte> destination)
    {
        int read = view.ReadPhysical(address, destination);
        return read == destination.Length
            ? destination
            : throw new ArchiveException($"RAM at 0x{address + (ulong)read:x} cannot be read: it was filtered out of the dump");
    }

    private static void Put16(byte[] bytes, int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(offset), value);

    private static void Put32(byte[] bytes, int offset, int value) => BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(offset), value);

    private static void Put64(byte[] bytes, int offset, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(offset), value);

    private sealed class Segment(ulong start, ulong length, bool isZeros)
    {
        public ulong Start { get; } = start;

        public ulong Length { get; set; } = length;

        public bool IsZeros { get; } = isZeros;

        public long Offset { get; set; }
    }
}
