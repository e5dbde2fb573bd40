using GuestOs.Linux;

namespace GuestOs.Tests;

public sealed class KernelDumpTests
{
    [Fact]
    public void Parts_are_joined_oldest_first()
    {
        KernelDump dump = Assert.Single(Join(
            "Panic#1 Part1\n<0>[    3.000000] newest\n",
            "Panic#1 Part2\n<6>[    2.000000] middle\n",
            "Panic#1 Part3\n<6>[    1.000000] oldest\n"));
        Assert.Equal("<6>[    1.000000] oldest\n<6>[    2.000000] middle\n<0>[    3.000000] newest\n", dump.RawText);
        Assert.Equal("[    1.000000] oldest\n[    2.000000] middle\n[    3.000000] newest\n", dump.ToText());
        Assert.False(dump.Incomplete);
    }

    [Theory]
    [InlineData("Oops#1 Part1|Oops#1 Part2|Panic#2 Part1|Panic#2 Part2", "Oops1+2 Panic1+2")]
    [InlineData("Panic#1 Part1|Panic#1 Part2|Panic#1 Part1|Panic#1 Part2", "Panic1+2 Panic1+2")]
    [InlineData("Oops#1 Part1|Oops#2 Part1|Oops#3 Part1", "Oops1 Oops1 Oops1")]
    [InlineData("Panic#1 Part1", "Panic1")]
    [InlineData("", "")]
    public void A_dump_ends_where_reason_number_or_part_begin_anew(string headers, string expected)
    {
        string[] texts = [.. headers.Split('|', StringSplitOptions.RemoveEmptyEntries).Select(header => header + "\nx\n")];
        Assert.Equal(expected, string.Join(' ', Join(texts).Select(dump =>
            dump.Reason + string.Join('+', dump.Parts.Select(part => part.Part).Order()))));
    }

    [Theory]
    [InlineData("Panic#1 Part2")]
    [InlineData("Panic#1 Part1|Panic#1 Part3")]
    public void A_missing_part_is_said(string headers) =>
        Assert.True(Assert.Single(Join([.. headers.Split('|').Select(header => header + "\nx\n")])).Incomplete);

    [Theory]
    [InlineData("<0>[    2.719350] Kernel panic", 0, 0, 2_719_350_000UL, null, "Kernel panic")]
    [InlineData("<12>[   10.000001] by a process", 1, 4, 10_000_001_000UL, null, "by a process")]
    [InlineData("<6>[    0.000000][    T1] task", 0, 6, 0UL, 1u, "task")]
    [InlineData("<6>[    0.000000][   C3] cpu", 0, 6, 0UL, 0x8000_0003u, "cpu")]
    [InlineData("<6>[    0.000000] [T1] text", 0, 6, 0UL, null, "[T1] text")]
    [InlineData("<6>no time", 0, 6, 0UL, null, "no time")]
    [InlineData("cut off Kernel panic", 255, 7, 0UL, null, "cut off Kernel panic")]
    [InlineData("<>[ 1.000000] x", 255, 7, 0UL, null, "<>[ 1.000000] x")]
    [InlineData("<99999>x", 255, 7, 0UL, null, "<99999>x")]
    [InlineData("<6>[99999999999999999999.000000] x", 0, 6, 0UL, null, "[99999999999999999999.000000] x")]
    [InlineData("<6>[", 0, 6, 0UL, null, "[")]
    public void A_line_tells_who_when_and_what(string line, int facility, int level, ulong nanoseconds, uint? caller, string text)
    {
        PrintkRecord record = Assert.Single(Assert.Single(Join("Panic#1 Part1\n" + line + "\n")).Records);
        Assert.Equal(new PrintkRecord(0, nanoseconds, (byte)facility, (byte)level, caller, text), record);
    }

    [Fact]
    public void Records_that_are_no_log_are_passed_over()
    {
        Assert.True(ErstRecord.TryParse(CperWriter.Record(CperWriter.MachineCheck, "x"u8), out ErstRecord? check, out _));
        Assert.Empty(KernelDump.Join([check]));
    }

    private static IReadOnlyList<KernelDump> Join(params string[] texts) => KernelDump.Join(texts.Select(text =>
    {
        Assert.True(ErstRecord.TryParse(CperWriter.Compressed(text), out ErstRecord? record, out _));
        return record;
    }));
}
