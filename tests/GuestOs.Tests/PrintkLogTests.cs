using System.Globalization;
using GuestOs.Linux;

namespace GuestOs.Tests;

public sealed class PrintkLogTests
{
    [Fact]
    public void Messages_are_read_with_time_level_facility_and_caller()
    {
        var ring = new RingWriter(8, 12);
        ring.Add("Linux version 6.1.0", level: 5, caller: 0);
        ring.Add("hello from a process", facility: 1, level: 4, nanoseconds: 1_234_567_890, caller: 77);
        ring.Add("Kernel panic - not syncing: x", level: 0, nanoseconds: 12_345_678_901_234, caller: 0x8000_0002);
        Assert.Equal(
            [
                new PrintkRecord(0, 0, 0, 5, 0, "Linux version 6.1.0"),
                new PrintkRecord(1, 1_234_567_890, 1, 4, 77, "hello from a process"),
                new PrintkRecord(2, 12_345_678_901_234, 0, 0, 0x8000_0002, "Kernel panic - not syncing: x"),
            ],
            Read(ring).Records);
    }

    [Fact]
    public void Text_looks_as_dmesg_shows_it()
    {
        var ring = new RingWriter(8, 12);
        ring.Add("first", nanoseconds: 0);
        ring.Add("two\nlines", nanoseconds: 1_000_001_999);
        ring.Add("", nanoseconds: 99_999_000_000_000);
        ring.Add("bell \u0007 and escape \u001b[31m", nanoseconds: 123_456_000_001_000);
        Assert.Equal(
            "[    0.000000] first\n[    1.000001] two\n[    1.000001] lines\n[99999.000000] \n[123456.000001] bell \\x07 and escape \\x1b[31m\n",
            Read(ring).ToText());
    }

    [Theory]
    [InlineData(6, 12, 500, "the descriptors wrap first")]
    [InlineData(9, 10, 500, "the text wraps first")]
    [InlineData(5, 16, 31, "nothing wraps")]
    [InlineData(4, 9, 1000, "both wrap many times")]
    public void A_ring_that_went_round_keeps_the_newest(int countBits, int sizeBits, int messages, string what)
    {
        var ring = new RingWriter(countBits, sizeBits);
        for (int i = 0; i < messages; i++)
        {
            ring.Add(Message(i), nanoseconds: (ulong)i);
        }

        PrintkLog log = Read(ring);
        ulong[] expected = [.. ring.LiveSequences];
        Assert.True(expected.SequenceEqual(log.Records.Select(record => record.Sequence)), what);
        Assert.All(log.Records, record => Assert.Equal(Message((int)record.Sequence), record.Text));
        Assert.Equal(0, log.Unreadable);
        Assert.Equal((ulong)messages - 1, log.Records[^1].Sequence);

        static string Message(int i) => string.Create(CultureInfo.InvariantCulture, $"message {i} ") + new string('x', i * 7 % 50);
    }

    [Theory]
    [InlineData(0, 0, "reserved: being written")]
    [InlineData(1, 1, "committed: may still grow")]
    [InlineData(2, 1, "finalized")]
    [InlineData(3, 0, "reusable: its text may be gone")]
    public void Only_written_messages_count(int state, int expected, string what)
    {
        var ring = new RingWriter(8, 12);
        ring.Add("text", state: state);
        Assert.True(expected == Read(ring).Records.Count, what);
    }

    [Fact]
    public void A_block_that_ends_with_the_ring_stays_where_it_is_in_newer_kernels()
    {
        // 512 bytes: a block of 504, then one of 8 up to the end, which needs no text; then its place is full.
        var ring = new RingWriter(4, 9);
        ring.Add(new string('a', 496));
        ring.Add("b");
        Put(ring.Descriptors, (ring.IndexOf(ring.LastId) * 24) + 8, 0xFFFF_FFFF_FFFF_FE00 + 488);
        Put(ring.Descriptors, (ring.IndexOf(ring.LastId) * 24) + 16, 0);
        Put(ring.Data, 488, ring.LastId);
        "b"u8.CopyTo(ring.Data.AsSpan(496));
        Assert.Equal("b", Read(ring).Records[^1].Text);
    }

    [Theory]
    [InlineData("id", "its block belongs to another message")]
    [InlineData("begin", "begins past its end")]
    [InlineData("odd", "not aligned")]
    [InlineData("length", "longer than its block")]
    [InlineData("failed", "the kernel found no room for the text")]
    [InlineData("far", "longer than the ring")]
    public void A_message_that_makes_no_sense_is_counted_not_shown(string damage, string what)
    {
        var ring = new RingWriter(8, 12);
        ring.Add("before");
        ring.Add("damaged");
        int at = ring.IndexOf(ring.LastId);
        ring.Add("after");
        switch (damage)
        {
            case "id":
                Put(ring.Data, 16, 0x1234);
                break;
            case "begin":
                Put(ring.Descriptors, (at * 24) + 8, 0xFFFF_FFFF_FFFF_F030);
                break;
            case "odd":
                Put(ring.Descriptors, (at * 24) + 16, 0xFFFF_FFFF_FFFF_F021);
                break;
            case "length":
                ring.Infos[(at * 88) + 17] = 0x10;
                break;
            case "failed":
                Put(ring.Descriptors, (at * 24) + 8, 1);
                Put(ring.Descriptors, (at * 24) + 16, 1);
                break;
            default:
                Put(ring.Descriptors, (at * 24) + 16, 0x10_0000);
                break;
        }

        PrintkLog log = Read(ring);
        Assert.True(log.Records.Select(record => record.Text).SequenceEqual(["before", "after"]), what);
        Assert.Equal(1, log.Unreadable);
    }

    [Theory]
    [InlineData(0, 12)]
    [InlineData(27, 12)]
    [InlineData(uint.MaxValue, 12)]
    [InlineData(8, 2)]
    [InlineData(8, 32)]
    [InlineData(8, uint.MaxValue)]
    public void Impossible_sizes_are_refused(uint countBits, uint sizeBits)
    {
        var ring = new RingWriter(8, 12) { CountBits = countBits, SizeBits = sizeBits };
        ring.Add("x");
        var image = new GuestImage();
        ring.WriteTo(new SyntheticKernel(image).WithVmCoreInfo(), image);
        Assert.False(PrintkLog.TryRead(Memory(image), out _, out string? whyNot));
        Assert.Equal($"the printk ring buffer claims 2^{countBits} messages and 2^{sizeBits} bytes of text", whyNot);
    }

    [Theory]
    [InlineData(0UL, 0x3FFF_FFFF_FFFF_FFFFUL)]
    [InlineData(0x3FFF_FFFF_FFFF_FFFFUL, 0UL)]
    [InlineData(0x1000UL, 0x2000UL)]
    public void Ends_that_lie_do_not_lead_round_more_than_once(ulong head, ulong tail)
    {
        var ring = new RingWriter(8, 12) { Head = head, Tail = tail };
        ring.Add("x");
        PrintkLog log = Read(ring);
        Assert.True(log.Records.Count <= 1);
    }

    [Theory]
    [InlineData("OFFSET(prb_desc.state_var)=0", "OFFSET(prb_desc.state_var)=20", "VMCOREINFO's members of prb_desc or printk_info lie outside of them")]
    [InlineData("SIZE(printk_info)=88", "SIZE(printk_info)=10", "VMCOREINFO's members of prb_desc or printk_info lie outside of them")]
    [InlineData("SIZE(prb_desc)=24", "SIZE(prb_desc)=16777216", "VMCOREINFO's members of prb_desc or printk_info lie outside of them")]
    [InlineData("OFFSET(prb_desc_ring.infos)=16", "OFFSET(prb_desc_ring.infos)=-1", "VMCOREINFO lacks a member of the printk ring buffer")]
    [InlineData("OFFSET(printk_info.caller_id)=20\n", "", "VMCOREINFO lacks a member of the printk ring buffer")]
    [InlineData("SYMBOL(prb)=", "SYMBOL(bpr)=", "VMCOREINFO names neither prb nor log_buf")]
    public void Offsets_that_cannot_be_are_refused(string whole, string damaged, string expected)
    {
        var image = new GuestImage();
        var kernel = new SyntheticKernel(image);
        var ring = new RingWriter(8, 12);
        ring.Add("x");
        ring.WriteTo(kernel, image);
        kernel.WithVmCoreInfo(kernel.VmCoreInfoText().Replace(whole, damaged, StringComparison.Ordinal));
        Assert.False(PrintkLog.TryRead(Memory(image), out _, out string? whyNot));
        Assert.Equal(expected, whyNot);
    }

    [Fact]
    public void Text_outside_of_the_kernel_image_is_reached_through_the_page_tables()
    {
        var ring = new RingWriter(8, 12) { DataAt = SyntheticKernel.DirectMap + 0x0123_0000 };
        ring.Add("in the direct map");
        Assert.Equal("in the direct map", Assert.Single(Read(ring).Records).Text);
    }

    private static PrintkLog Read(RingWriter ring)
    {
        var image = new GuestImage();
        var kernel = new SyntheticKernel(image).WithVmCoreInfo();
        ring.WriteTo(kernel, image);
        Assert.True(PrintkLog.TryRead(Memory(image), out PrintkLog? log, out string? whyNot), whyNot);
        return log;
    }

    private static KernelMemory Memory(GuestImage image) => new(image, Assert.Single(VmCoreInfo.FindAll(image)));

    private static void Put(byte[] bytes, int at, ulong value) =>
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), value);
}
