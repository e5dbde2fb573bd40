using Emulator.Memory;

namespace Emulator.Tests.Memory;

public unsafe class GuestMemoryTests
{
    private const ulong MiB = 1 << 20;

    [Fact]
    public void Untouched_pages_read_as_one_shared_zero_page_and_cost_nothing()
    {
        using var memory = new GuestMemory(64 * MiB);

        Assert.True(memory.ReadPage(0) == memory.ReadPage(16383));
        Assert.True(new Span<byte>(memory.ReadPage(7), 4096).IndexOfAnyExcept((byte)0) < 0);
        Assert.True(memory.IsUntouched(7));
        Assert.Equal(0, memory.AllocatedPages);
        Assert.Equal(0, memory.CommittedBytes);
    }

    [Fact]
    public void A_written_page_keeps_its_bytes_and_its_address_until_a_freeze()
    {
        using var memory = new GuestMemory(64 * MiB);
        byte* page = memory.WritePage(16383);
        page[4095] = 0xA5;

        Assert.True(memory.WritePage(16383) == page);
        Assert.True(memory.ReadPage(16383) == page);
        Assert.False(memory.IsUntouched(16383));
        Assert.Equal(1, memory.AllocatedPages);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(4095UL)]
    [InlineData(4097UL)]
    [InlineData((1UL << 40) + 4096)]
    public void A_size_that_is_no_RAM_is_refused(ulong size) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new GuestMemory(size));

    [Fact]
    public void A_page_beyond_RAM_is_refused()
    {
        using var memory = new GuestMemory(3 * 4096);
        using MemorySnapshot snapshot = memory.Freeze();

        Assert.Throws<ArgumentOutOfRangeException>(() => { _ = memory.ReadPage(3); });
        Assert.Throws<ArgumentOutOfRangeException>(() => { _ = memory.WritePage(ulong.MaxValue); });
        Assert.Throws<ArgumentOutOfRangeException>(() => memory.IsUntouched(3));
        Assert.Throws<ArgumentOutOfRangeException>(() => { _ = snapshot.ReadPage(3); });
    }

    [Fact]
    public void A_snapshot_keeps_what_was_there_while_the_present_goes_on()
    {
        using var memory = new GuestMemory(4 * MiB);
        memory.WritePage(5)[0] = 1;
        using MemorySnapshot first = memory.Freeze();
        memory.WritePage(5)[0] = 2;
        memory.WritePage(6)[0] = 3;
        using MemorySnapshot second = memory.Freeze();
        memory.WritePage(5)[0] = 4;

        Assert.Equal(1, first.ReadPage(5)[0]);
        Assert.True(first.IsUntouched(6));
        Assert.Equal(2, second.ReadPage(5)[0]);
        Assert.Equal(3, second.ReadPage(6)[0]);
        Assert.Equal(4, memory.ReadPage(5)[0]);
        Assert.Equal(4, memory.AllocatedPages); // page 5 three times, page 6 once
    }

    [Fact]
    public void A_page_whose_snapshots_are_gone_is_written_in_place_again()
    {
        using var memory = new GuestMemory(4 * MiB);
        byte* page = memory.WritePage(5);
        memory.Freeze().Dispose();

        Assert.True(memory.WritePage(5) == page);
        Assert.Equal(1, memory.AllocatedPages);
    }

    [Fact]
    public void Restore_brings_the_past_back_and_leaves_the_snapshot_whole()
    {
        using var memory = new GuestMemory(4 * MiB);
        memory.WritePage(1)[0] = 1;
        using MemorySnapshot snapshot = memory.Freeze();
        memory.WritePage(1)[0] = 2;
        memory.WritePage(2)[0] = 2;

        memory.Restore(snapshot);
        Assert.Equal(1, memory.ReadPage(1)[0]);
        Assert.True(memory.IsUntouched(2));
        memory.WritePage(1)[0] = 9;

        Assert.Equal(1, snapshot.ReadPage(1)[0]);
        Assert.Equal(2, memory.AllocatedPages);
    }

    [Fact]
    public void Another_machines_snapshot_is_refused()
    {
        using var memory = new GuestMemory(4 * MiB);
        using var other = new GuestMemory(4 * MiB);
        using MemorySnapshot snapshot = other.Freeze();

        Assert.Throws<ArgumentException>(() => memory.Restore(snapshot));
    }

    [Fact]
    public void Clear_makes_RAM_untouched_and_recycled_pages_come_back_as_zeros()
    {
        using var memory = new GuestMemory(4 * MiB);
        new Span<byte>(memory.WritePage(3), 4096).Fill(0xFF);
        memory.Clear();

        Assert.True(memory.IsUntouched(3));
        Assert.Equal(0, memory.AllocatedPages);
        Assert.True(new Span<byte>(memory.WritePage(9), 4096).IndexOfAnyExcept((byte)0) < 0);
    }

    [Fact]
    public void A_snapshot_outlives_its_RAM()
    {
        var memory = new GuestMemory(4 * MiB);
        memory.WritePage(3)[10] = 77;
        MemorySnapshot snapshot = memory.Freeze();
        memory.Dispose();

        Assert.Equal(77, snapshot.ReadPage(3)[10]);
        snapshot.Dispose();
        snapshot.Dispose();
        Assert.Throws<ObjectDisposedException>(() => { _ = snapshot.ReadPage(3); });
        Assert.Throws<ObjectDisposedException>(() => { _ = memory.Freeze(); });
    }

    [Fact]
    public void Host_addresses_are_called_back_when_they_stop_being_true()
    {
        using var memory = new GuestMemory(4 * MiB);
        List<string> events = [];
        memory.HostAddressesRevoked = reading => events.Add(reading ? "all" : "writes");
        memory.PageMoved = (page, old) => events.Add($"page {page} from {(old == (nint)memory.ReadPage(1023) ? "zero" : "frame")}");

        memory.WritePage(3);
        memory.WritePage(3);
        using MemorySnapshot snapshot = memory.Freeze();
        memory.WritePage(3);
        memory.Restore(snapshot);
        memory.Clear();

        Assert.Equal(["page 3 from zero", "writes", "page 3 from frame", "all", "all"], events);
    }

    [Fact]
    public void Many_snapshots_with_any_order_of_release_give_every_page_back()
    {
        using var memory = new GuestMemory(64 * MiB);
        List<MemorySnapshot> snapshots = [];
        for (int i = 0; i < 200; i++)
        {
            for (ulong page = 0; page < 16384; page += 97)
            {
                memory.WritePage((page + ((ulong)i * 31)) % 16384)[i] = (byte)i;
            }

            snapshots.Add(memory.Freeze());
        }

        var order = new Random(7);
        while (snapshots.Count > 0)
        {
            int index = order.Next(snapshots.Count);
            snapshots[index].Dispose();
            snapshots.RemoveAt(index);
        }

        long present = 0;
        for (ulong page = 0; page < 16384; page++)
        {
            present += memory.IsUntouched(page) ? 0 : 1;
        }

        Assert.Equal(present, memory.AllocatedPages);
        memory.Clear();
        Assert.Equal(0, memory.AllocatedPages);
    }

    [Fact]
    public void Freed_pages_go_back_to_the_host_when_many_are_free()
    {
        using var memory = new GuestMemory(256 * MiB);
        for (ulong page = 0; page < 65536; page++)
        {
            memory.WritePage(page)[0] = 1;
        }

        Assert.InRange(memory.CommittedBytes, 256L << 20, 260L << 20);
        memory.Clear();
        Assert.InRange(memory.CommittedBytes, 0, 32L << 20);
        Assert.Equal(0, memory.WritePage(65535)[0]);
    }

    [Fact]
    public void The_hot_path_allocates_no_managed_memory()
    {
        using var memory = new GuestMemory(4 * MiB);
        Touch(memory);
        using MemorySnapshot snapshot = memory.Freeze();
        Touch(memory);
        memory.Restore(snapshot);

        long before = GC.GetAllocatedBytesForCurrentThread();
        Touch(memory);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        static void Touch(GuestMemory memory)
        {
            for (ulong page = 0; page < 1024; page++)
            {
                memory.WritePage(page)[0] += memory.ReadPage(1023 - page)[1];
            }
        }
    }
}
