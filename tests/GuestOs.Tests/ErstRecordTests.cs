using System.Buffers.Binary;
using GuestOs.Linux;

namespace GuestOs.Tests;

public sealed class ErstRecordTests
{
    [Theory]
    [InlineData("Panic#1 Part1\n<0>[    1.000000] Kernel panic\n", KernelDumpReason.Panic, 1, 1)]
    [InlineData("Oops#2 Part13\nx\n", KernelDumpReason.Oops, 2, 13)]
    [InlineData("Emergency#3 Part1\nx\n", KernelDumpReason.Emergency, 3, 1)]
    [InlineData("Shutdown#4 Part2\nx\n", KernelDumpReason.Shutdown, 4, 2)]
    [InlineData("Restart#1 Part1\nx\n", KernelDumpReason.Shutdown, 1, 1)]
    [InlineData("Poweroff#1 Part1\nx\n", KernelDumpReason.Shutdown, 1, 1)]
    [InlineData("Novel#1 Part1\nx\n", KernelDumpReason.Unknown, 1, 1)]
    public void The_header_line_tells_reason_number_and_part(string text, KernelDumpReason reason, int count, int part)
    {
        foreach (byte[] bytes in new[] { CperWriter.Plain(text), CperWriter.Compressed(text), CperWriter.Record(CperWriter.CompressedLog, CperWriter.Zlib(text)) })
        {
            Assert.True(ErstRecord.TryParse(bytes, out ErstRecord? record, out _));
            Assert.Equal(ErstContent.KernelLog, record.Content);
            Assert.Equal((reason, count, part), (record.Reason, record.Count, record.Part));
            Assert.Equal(text[(text.IndexOf('\n', StringComparison.Ordinal) + 1)..], record.Text);
            Assert.False(record.Incomplete);
        }
    }

    [Theory]
    [InlineData("no header at all")]
    [InlineData("Panic#x Part1\n")]
    [InlineData("Panic# Part1\n")]
    [InlineData("Panic#1 Part\n")]
    [InlineData("Panic#1 Part99999999999\n")]
    [InlineData("#1 Part1\n")]
    [InlineData("Part1#1 Panic\n")]
    public void A_log_without_a_header_line_is_of_unknown_reason(string text)
    {
        Assert.True(ErstRecord.TryParse(CperWriter.Plain(text), out ErstRecord? record, out _));
        Assert.Equal(KernelDumpReason.Unknown, record.Reason);
        Assert.Equal(text, record.Text);
    }

    [Fact]
    public void Id_and_time_are_read()
    {
        byte[] bytes = CperWriter.Record(CperWriter.PlainLog, "x"u8, id: 0x6b04b4c200000001, seconds: 1795470530);
        Assert.True(ErstRecord.TryParse(bytes, out ErstRecord? record, out _));
        Assert.Equal(0x6b04b4c200000001UL, record.Id);
        Assert.Equal(1795470530UL, record.UnixSeconds);
    }

    [Fact]
    public void A_machine_check_is_no_log()
    {
        Assert.True(ErstRecord.TryParse(CperWriter.Record(CperWriter.MachineCheck, "Panic#1 Part1\n"u8), out ErstRecord? record, out _));
        Assert.Equal(ErstContent.MachineCheck, record.Content);
        Assert.Equal(KernelDumpReason.Unknown, record.Reason);
    }

    [Fact]
    public void Another_creators_record_is_other()
    {
        byte[] bytes = CperWriter.Record(CperWriter.PlainLog, "Panic#1 Part1\n"u8, creator: new byte[16]);
        Assert.True(ErstRecord.TryParse(bytes, out ErstRecord? record, out _));
        Assert.Equal(ErstContent.Other, record.Content);
        Assert.Null(record.UnixSeconds);
    }

    [Fact]
    public void A_compression_we_do_not_know_is_incomplete_and_has_no_text()
    {
        byte[] zstd = Convert.FromHexString("28b52ffd048041000050616e69632331205061727431");
        Assert.True(ErstRecord.TryParse(CperWriter.Record(CperWriter.CompressedLog, zstd), out ErstRecord? record, out _));
        Assert.Equal((ErstContent.KernelLog, KernelDumpReason.Unknown, "", true), (record.Content, record.Reason, record.Text, record.Incomplete));
    }

    [Fact]
    public void A_torn_record_keeps_what_is_there()
    {
        byte[] bytes = CperWriter.Plain("Panic#1 Part1\n<0>[    1.000000] Kernel panic - not syncing: torn\n");
        Assert.True(ErstRecord.TryParse(bytes.AsSpan(0, bytes.Length - 6), out ErstRecord? record, out _));
        Assert.True(record.Incomplete);
        Assert.Equal(KernelDumpReason.Panic, record.Reason);
        Assert.Equal("<0>[    1.000000] Kernel panic - not syncing:", record.Text);
    }

    [Fact]
    public void A_deflate_bomb_stops_at_the_limit()
    {
        string bomb = "Panic#1 Part1\n" + new string('a', 64 << 20);
        Assert.True(ErstRecord.TryParse(CperWriter.Compressed(bomb), out ErstRecord? record, out _));
        Assert.Equal(ErstRecord.MaxTextBytes - "Panic#1 Part1\n".Length, record.Text.Length);
        Assert.True(record.Incomplete);
    }

    [Fact]
    public void Control_characters_cannot_reach_a_terminal()
    {
        Assert.True(ErstRecord.TryParse(CperWriter.Plain("Panic#1 Part1\na\u001b[2Jb\r\tc\n"), out ErstRecord? record, out _));
        Assert.Equal("a\\x1b[2Jb\\x0d\tc\n", record.Text);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(127)]
    public void Less_than_a_header_is_refused(int length)
    {
        Assert.False(ErstRecord.TryParse(CperWriter.Plain("x").AsSpan(0, length), out _, out string? error));
        Assert.Equal($"{length} bytes are less than a CPER header's 128", error);
    }

    [Theory]
    [InlineData(0, 0u, "the CPER signature is missing")]
    [InlineData(6, 0u, "the CPER signature is missing")]
    [InlineData(20, 127u, "record length 127 is outside 128..1048576")]
    [InlineData(20, 0xFFFF_FFFFu, "record length 4294967295 is outside 128..1048576")]
    public void A_header_that_makes_no_sense_is_refused(int offset, uint value, string expected)
    {
        byte[] bytes = CperWriter.Plain("x");
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(offset), value);
        Assert.False(ErstRecord.TryParse(bytes, out _, out string? error));
        Assert.Equal(expected, error);
    }

    [Theory]
    [InlineData(0xFFFF_FFFFu, 4u)]
    [InlineData(200u, 0xFFFF_FFFFu)]
    [InlineData(210u, 4u)]
    public void A_section_outside_of_its_record_is_cut(uint offset, uint length)
    {
        byte[] bytes = CperWriter.Plain("abcd");
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(128), offset);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(132), length);
        Assert.True(ErstRecord.TryParse(bytes, out ErstRecord? record, out _));
        Assert.True(record.Incomplete);
        Assert.Equal(offset == 200 ? "abcd" : "", record.Text);
    }

    [Fact]
    public void A_section_count_beyond_the_record_does_not_lead_out_of_it()
    {
        byte[] bytes = CperWriter.Record(new byte[16], "x"u8);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(10), 0xFFFF);
        Assert.True(ErstRecord.TryParse(bytes, out ErstRecord? record, out _));
        Assert.Equal((ErstContent.Other, true), (record.Content, record.Incomplete));
    }
}
