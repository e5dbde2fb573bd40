using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using Emulator;
using Emulator.Memory;

namespace Snapshots.Tests;

public class ArchiveRoundTripTests : IDisposable
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private readonly TemporaryDirectory directory = new();

    private string ArchivePath => directory.File("a.kdump");

    public void Dispose() => directory.Dispose();

    [Fact]
    public void Every_byte_of_RAM_comes_back_and_the_holes_stay_holes()
    {
        using Snapshot snapshot = Samples.Snapshot();
        ArchiveWriter.Write(ArchivePath, "0123456789", snapshot, cancellation: Cancellation);
        using ArchiveReader reader = ArchiveReader.Open(ArchivePath);

        Assert.Equal([new PhysicalRange(0, 0xA_0000), new PhysicalRange(0xC_0000, 0x4_0000)], reader.Ram);
        byte[] page = new byte[4096];
        for (ulong number = 0; number < 256; number++)
        {
            if (number is >= 0xA0 and < 0xC0)
            {
                Assert.Equal(0, reader.ReadPhysical(number * 4096, page));
                Assert.False(reader.IsUntouched(number * 4096));
                continue;
            }

            Assert.Equal(4096, reader.ReadPhysical(number * 4096, page));
            Assert.Equal(Samples.Page(number) ?? new byte[4096], page);
            Assert.Equal(number % 5 < 2, reader.IsUntouched(number * 4096));
        }
    }

    [Theory]
    [InlineData(0xFFCUL, 8, 8)]
    [InlineData(0x9_FFF0UL, 64, 16)]
    [InlineData(0xA_0000UL, 1, 0)]
    [InlineData(0xC_0000UL, 20_000, 20_000)]
    [InlineData(0xF_FFFFUL, 2, 1)]
    [InlineData(0x10_0000UL, 1, 0)]
    [InlineData(0xFFFF_FFFF_FFFF_FFFFUL, 1, 0)]
    public void A_read_ends_where_RAM_ends_as_it_does_on_the_frozen_machine(ulong address, int length, int expected)
    {
        using Snapshot snapshot = Samples.Snapshot();
        ArchiveWriter.Write(ArchivePath, "0123456789", snapshot, cancellation: Cancellation);
        using ArchiveReader reader = ArchiveReader.Open(ArchivePath);
        byte[] fromSnapshot = new byte[length];
        byte[] fromArchive = new byte[length];

        Assert.Equal(expected, snapshot.ReadPhysical(address, fromSnapshot));
        Assert.Equal(expected, reader.ReadPhysical(address, fromArchive));
        Assert.Equal(fromSnapshot, fromArchive);
    }

    [Fact]
    public void RAM_above_4_GiB_is_found_at_its_address()
    {
        using var memory = new GuestMemory(PhysicalLayout.LowRamLimit + (1 << 20));
        Put(memory, (PhysicalLayout.LowRamLimit / 4096) - 1, 0x11);
        Put(memory, PhysicalLayout.LowRamLimit / 4096, 0x22);
        Put(memory, (PhysicalLayout.LowRamLimit / 4096) + 255, 0x33);
        using var snapshot = new Snapshot(memory.Freeze(), Samples.State(), Samples.Info());
        ArchiveWriter.Write(ArchivePath, "0123456789", snapshot, cancellation: Cancellation);
        using ArchiveReader reader = ArchiveReader.Open(ArchivePath);

        foreach (IMachineView view in (IMachineView[])[snapshot, reader])
        {
            byte[] value = new byte[1];
            Assert.Equal(new PhysicalRange(0x1_0000_0000, 1 << 20), view.Ram[2]);
            Assert.Equal((1, 0x11), (view.ReadPhysical(0xBFFF_F000, value), value[0]));
            Assert.Equal(0, view.ReadPhysical(0xC000_0000, value));
            Assert.Equal((1, 0x22), (view.ReadPhysical(0x1_0000_0000, value), value[0]));
            Assert.Equal((1, 0x33), (view.ReadPhysical(0x1_000F_F000, value), value[0]));
            Assert.Equal(0, view.ReadPhysical(0x1_0010_0000, value));
        }

        static unsafe void Put(GuestMemory memory, ulong page, byte value) => memory.WritePage(page)[0] = value;
    }

    [Fact]
    public void Registers_devices_and_what_is_known_of_the_capture_come_back()
    {
        CaptureInfo info = Samples.Info() with { CurrentVcpu = 2, RunningProcesses = [0, 7, 1] };
        using Snapshot snapshot = Samples.Snapshot(cpus: 3, info: info);
        ArchiveWriter.Write(ArchivePath, "0123456789", snapshot, cancellation: Cancellation);
        using ArchiveReader reader = ArchiveReader.Open(ArchivePath);

        Assert.Equal(Json(Samples.State(3)), Json(reader.State));
        Assert.Equal(3, reader.Vcpus.Count);
        Assert.Equal(2, reader.CurrentVcpu);
        Assert.Equal(12_345_678_901_234UL, reader.InstructionCount);
        Assert.Equal(info.StopCause, reader.StopCause);
        Assert.Equal("0123456789", reader.Info.Id);
        Assert.Equal([0, 7, 1], reader.Info.Capture.RunningProcesses!);
        Assert.Equal(info with { RunningProcesses = null }, reader.Info.Capture with { RunningProcesses = null });

        static string Json(MachineState state) => JsonSerializer.Serialize(state, ArchiveJson.Default.MachineState);
    }

    [Fact]
    public void A_view_without_a_machines_state_keeps_its_registers()
    {
        using Snapshot snapshot = Samples.Snapshot(cpus: 2);
        ArchiveWriter.Write(ArchivePath, "0123456789", snapshot, null, Samples.Info(), cancellation: Cancellation);
        using ArchiveReader reader = ArchiveReader.Open(ArchivePath);

        Assert.Equal(Samples.Vcpu(1).Rip, reader.Vcpus[1].Rip);
        Assert.Throws<ArchiveException>(() => reader.State);
    }

    [Fact]
    public void Equal_pages_are_stored_once_and_zeros_once()
    {
        using Snapshot snapshot = Samples.Snapshot();
        ArchiveWriter.Write(ArchivePath, "0123456789", snapshot, cancellation: Cancellation);
        using ArchiveReader reader = ArchiveReader.Open(ArchivePath);

        // Of 256 pages 32 are in the hole. Kind 3 has 51 pages, 6 of them there (163, 168, … 188); kind 4 has 51, 6 there
        // (164, 169, … 189). Kinds 0 and 1 are zeros; kind 2 has three contents.
        Assert.Equal(1 + 3 + (51 - 6) + (51 - 6), reader.StoredPages);
    }

    [Fact]
    public void Two_threads_write_the_same_file_as_one()
    {
        using Snapshot snapshot = Samples.Snapshot(8 << 20);
        ArchiveWriter.Write(ArchivePath, "0123456789", snapshot, cancellation: Cancellation);
        ArchiveWriter.Write(directory.File("b"), "0123456789", snapshot, new ArchiveWriterOptions { Parallelism = 2 }, cancellation: Cancellation);

        Assert.Equal(File.ReadAllBytes(ArchivePath), File.ReadAllBytes(directory.File("b")));
    }

    [Fact]
    public void The_header_is_laid_out_as_kdump_compressed_version_6()
    {
        using Snapshot snapshot = Samples.Snapshot(cpus: 2);
        ArchiveWriter.Write(ArchivePath, "0123456789", snapshot, cancellation: Cancellation);
        byte[] file = File.ReadAllBytes(ArchivePath);
        int subHeaderBlocks = Int(432);
        string vmcoreinfo = Samples.Info().Vmcoreinfo!;

        Assert.Equal("KDUMP   ", Encoding.ASCII.GetString(file, 0, 8));
        Assert.Equal(6, Int(8));
        Assert.Equal("Linux\0", Encoding.ASCII.GetString(file, 12, 6));
        Assert.Equal("6.1.0-56-cloud-amd64\0", Encoding.ASCII.GetString(file, 12 + (2 * 65), 21));
        Assert.Equal("x86_64\0", Encoding.ASCII.GetString(file, 12 + (4 * 65), 7));
        Assert.Equal(1_717_756_272, Long(408));
        Assert.Equal((0x20, 4096, 2), (Int(424), Int(428), Int(436)));
        Assert.Equal((256, 224, 0, 2), (Int(440), Int(444), Int(456), Int(460)));
        Assert.Equal(-65011712, Long(4096)); // phys_base
        Assert.Equal((0, 0), (Int(4096 + 8), Int(4096 + 12))); // dump_level, split
        Assert.Equal(vmcoreinfo, Encoding.ASCII.GetString(file, (int)Long(4096 + 32), (int)Long(4096 + 40)));
        Assert.Equal(4096 + 104, Long(4096 + 48)); // offset_note
        Assert.InRange(Long(4096 + 56), 1, (subHeaderBlocks * 4096) - 104);
        Assert.Equal(256, Long(4096 + 96)); // max_mapnr_64

        int note = 4096 + 104;
        Assert.Equal((5, 336, 1), (Int(note), Int(note + 4), Int(note + 8)));
        Assert.Equal("CORE\0", Encoding.ASCII.GetString(file, note + 12, 5));
        Assert.Equal(unchecked((long)0xFFFF_FFFF_8100_0000), Long(note + 20 + 112 + (16 * 8))); // rip of CPU 0
        Assert.Equal(unchecked((long)0xFFFF_8880_0000_0004), Long(note + 20 + 112 + (19 * 8))); // rsp

        int bitmap = (1 + subHeaderBlocks) * 4096;
        byte[] expected = [.. Enumerable.Repeat((byte)0xFF, 20), .. new byte[4], .. Enumerable.Repeat((byte)0xFF, 8), .. new byte[4096 - 32]];
        Assert.Equal(expected, file[bitmap..(bitmap + 4096)]);
        Assert.Equal(expected, file[(bitmap + 4096)..(bitmap + 8192)]);

        // The first descriptors: page 0 is zeros, page 4 does not shrink.
        int descriptors = bitmap + 8192;
        Assert.Equal(descriptors + (224 * 24), Long(descriptors));
        Assert.Equal((4096, 0), (Int(descriptors + (4 * 24) + 8), Int(descriptors + (4 * 24) + 12)));
        Assert.Equal(Samples.Page(4), file[(int)Long(descriptors + (4 * 24))..][..4096]);
        Assert.Equal(0x20, Int(descriptors + (3 * 24) + 12));

        int Int(int offset) => BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(offset));
        long Long(int offset) => BinaryPrimitives.ReadInt64LittleEndian(file.AsSpan(offset));
    }

    [Fact]
    public void Progress_ends_at_the_last_page()
    {
        using Snapshot snapshot = Samples.Snapshot(8 << 20);
        var progress = new Recorder();
        ArchiveWriter.Write(ArchivePath, "0123456789", snapshot, progress: progress, cancellation: Cancellation);

        Assert.True(progress.Reports.Count > 3);
        Assert.Equal(progress.Reports.OrderBy(r => r.PagesDone), progress.Reports);
        Assert.Equal((2048 - 32, 2048 - 32), (progress.Reports[^1].PagesDone, progress.Reports[^1].PagesTotal));
    }

    [Fact]
    public void A_cancelled_write_leaves_nothing_behind()
    {
        using Snapshot snapshot = Samples.Snapshot(8 << 20);
        using var cancellation = new CancellationTokenSource();
        var progress = new Recorder { OnReport = _ => cancellation.Cancel() };

        Assert.Throws<OperationCanceledException>(
            () => ArchiveWriter.Write(ArchivePath, "0123456789", snapshot, progress: progress, cancellation: cancellation.Token));
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
    }

    [Fact]
    public void An_existing_file_is_not_overwritten()
    {
        File.WriteAllText(ArchivePath, "precious");
        using Snapshot snapshot = Samples.Snapshot();

        ArchiveException error = Assert.Throws<ArchiveException>(
            () => ArchiveWriter.Write(ArchivePath, "0123456789", snapshot, cancellation: Cancellation));
        Assert.Contains(ArchivePath, error.Message, StringComparison.Ordinal);
        Assert.Equal("precious", File.ReadAllText(ArchivePath));
        Assert.Single(Directory.GetFileSystemEntries(directory.Path));
    }

    [Fact]
    public async Task A_guest_that_scribbles_over_all_of_its_RAM_does_not_show_in_the_archive()
    {
        const ulong size = 16 << 20;
        using GuestMemory memory = Samples.Memory(size);
        using var snapshot = new Snapshot(memory.Freeze(), Samples.State(), Samples.Info());
        var writing = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var progress = new Recorder { OnReport = _ => writing.TrySetResult() };
        Task writer = Task.Run(() => ArchiveWriter.Write(ArchivePath, "0123456789", snapshot, progress: progress), Cancellation);
        await writing.Task;
        byte value = 0;
        do
        {
            Scribble(memory, ++value);
        }
        while (!writer.IsCompleted);
        await writer;

        using ArchiveReader reader = ArchiveReader.Open(ArchivePath);
        byte[] page = new byte[4096];
        foreach (PhysicalRange range in reader.Ram)
        {
            for (ulong address = range.Start; address < range.Start + range.Length; address += 4096)
            {
                Assert.Equal(4096, reader.ReadPhysical(address, page));
                Assert.Equal(Samples.Page(address / 4096) ?? new byte[4096], page);
            }
        }

        static unsafe void Scribble(GuestMemory memory, byte value)
        {
            for (ulong page = 0; page < size / 4096; page++)
            {
                new Span<byte>(memory.WritePage(page), 4096).Fill(value);
            }
        }
    }

    private sealed class Recorder : IProgress<ArchiveProgress>
    {
        public List<ArchiveProgress> Reports { get; } = [];

        public Action<ArchiveProgress>? OnReport { get; init; }

        public void Report(ArchiveProgress value)
        {
            Reports.Add(value);
            OnReport?.Invoke(value);
        }
    }
}
