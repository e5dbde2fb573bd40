using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using GuestOs.Linux;

namespace GuestOs.Tests;

/// <summary>The record log of Linux 3.5 to 5.9: struct printk_log is ts_nsec, len, text_len, dict_len, facility, flags and level.</summary>
public sealed class PrintkBufferTests
{
    [Fact]
    public void Records_follow_one_another()
    {
        byte[] buffer = new byte[256];
        uint end = Put(buffer, 0, "first", 0, 5, 1_000_000_000);
        end = Put(buffer, end, "second", 1, 4, 2_000_000_000);
        Assert.Equal(
            [new PrintkRecord(0, 1_000_000_000, 0, 5, null, "first"), new PrintkRecord(1, 2_000_000_000, 1, 4, null, "second")],
            Read(buffer, 0, end).Records);
    }

    [Fact]
    public void A_record_of_length_zero_leads_back_to_the_start()
    {
        byte[] buffer = new byte[128];
        uint next = Put(buffer, 0, "newest", 0, 6, 3);
        Put(buffer, 64, "oldest", 0, 6, 1);
        Assert.Equal(["oldest", "newest"], Read(buffer, 64, next).Records.Select(record => record.Text));
    }

    [Fact]
    public void Where_no_header_fits_the_log_goes_on_at_the_start()
    {
        byte[] buffer = new byte[104];
        uint next = Put(buffer, 0, "newest", 0, 6, 3);
        Put(buffer, 64, "0123456789abcdef", 0, 6, 1);
        Assert.Equal(["0123456789abcdef", "newest"], Read(buffer, 64, next).Records.Select(record => record.Text));
    }

    [Theory]
    [InlineData(8u, "shorter than its header")]
    [InlineData(0xFFFFu, "longer than the buffer")]
    public void A_record_that_cannot_be_ends_the_log(uint length, string what)
    {
        byte[] buffer = new byte[256];
        uint second = Put(buffer, 0, "first", 0, 6, 1);
        uint end = Put(buffer, second, "second", 0, 6, 2);
        BinaryPrimitives.WriteUInt16LittleEndian(buffer.AsSpan((int)second + 8), (ushort)length);
        PrintkLog log = Read(buffer, 0, end);
        Assert.True(log.Records.Count == 1 && log.Unreadable == 1, what);
    }

    [Fact]
    public void An_empty_log_is_empty() => Assert.Empty(Read(new byte[128], 0, 0).Records);

    [Theory]
    [InlineData(128u, 0u)]
    [InlineData(0u, 129u)]
    public void Indexes_outside_of_the_buffer_are_refused(uint first, uint next)
    {
        Assert.False(TryRead(new byte[128], first, next, out _, out string? whyNot));
        Assert.Equal($"the kernel log claims 128 bytes, from {first} to {next}", whyNot);
    }

    private static uint Put(byte[] buffer, uint at, string text, byte facility, byte level, ulong nanoseconds)
    {
        int total = (16 + text.Length + 7) & ~7;
        Span<byte> record = buffer.AsSpan((int)at, total);
        BinaryPrimitives.WriteUInt64LittleEndian(record, nanoseconds);
        BinaryPrimitives.WriteUInt16LittleEndian(record[8..], (ushort)total);
        BinaryPrimitives.WriteUInt16LittleEndian(record[10..], (ushort)text.Length);
        record[14] = facility;
        record[15] = (byte)(level << 5);
        Encoding.ASCII.GetBytes(text, record[16..]);
        return at + (uint)total;
    }

    private static PrintkLog Read(byte[] buffer, uint first, uint next)
    {
        Assert.True(TryRead(buffer, first, next, out PrintkLog? log, out string? whyNot), whyNot);
        return log!;
    }

    private static bool TryRead(byte[] buffer, uint first, uint next, out PrintkLog? log, out string? whyNot)
    {
        var image = new GuestImage();
        var kernel = new SyntheticKernel(image);
        ulong at = kernel.LogAt;
        image.Write64(kernel.Physical(at), at + 0x1000);
        image.Write32(kernel.Physical(at + 8), (uint)buffer.Length);
        image.Write32(kernel.Physical(at + 12), first);
        image.Write32(kernel.Physical(at + 16), next);
        image.Write(kernel.Physical(at + 0x1000), buffer);
        kernel.WithVmCoreInfo(kernel.VmCoreInfoText(string.Create(CultureInfo.InvariantCulture, $"""
            SYMBOL(log_buf)={at:x}
            SYMBOL(log_buf_len)={at + 8:x}
            SYMBOL(log_first_idx)={at + 12:x}
            SYMBOL(clear_idx)={at + 20:x}
            SYMBOL(log_next_idx)={at + 16:x}
            SIZE(printk_log)=16
            OFFSET(printk_log.ts_nsec)=0
            OFFSET(printk_log.len)=8
            OFFSET(printk_log.text_len)=10
            OFFSET(printk_log.dict_len)=12
            OFFSET(filler.a_member_with_a_long_name)=1
            OFFSET(filler.b_member_with_a_long_name)=1

            """)));
        return PrintkLog.TryRead(new KernelMemory(image, Assert.Single(VmCoreInfo.FindAll(image))), out log, out whyNot);
    }
}
