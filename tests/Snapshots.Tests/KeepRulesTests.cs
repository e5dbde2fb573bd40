namespace Snapshots.Tests;

public class KeepRulesTests
{
    // Newest first: title and bytes; a title of "!" is a damaged archive. The numbers that go are their places in the list.
    [Theory]
    [InlineData("a10 b10 c10", 2, -1L, false, "2")]
    [InlineData("a10 b10 c10", 0, -1L, false, "0 1 2")]
    [InlineData("a10 b10 c10", 5, -1L, false, "")]
    [InlineData("a10 b10 c10", -1, 20L, false, "2")]
    [InlineData("a10 b50 c10", -1, 30L, false, "1 2")]
    [InlineData("a99 b10", -1, 30L, false, "1")]
    [InlineData("a1 a1 b1 a1 b1 a1", -1, -1L, true, "1 3")]
    [InlineData("a1 a1 b1 a1 b1 a1", 2, -1L, true, "1 3 4 5")]
    [InlineData("!9 a1 !9 b1", 1, 1L, true, "3")]
    public void What_no_rule_keeps_goes(string list, int archives, long bytes, bool titles, string expected)
    {
        StoredArchive[] all =
        [
            .. list.Split(' ').Select((word, i) => new StoredArchive(
                $"{i}", "", word[..1], DateTimeOffset.UnixEpoch.AddDays(-i), long.Parse(word[1..], null), word[0] == '!' ? ArchiveState.Damaged : ArchiveState.Whole, null)),
        ];
        var rules = new KeepRules { Archives = archives < 0 ? null : archives, Bytes = bytes < 0 ? null : bytes, CollapseTitles = titles };
        Assert.Equal(expected, string.Join(' ', rules.Surplus(all).Select(a => a.Id)));
    }

    [Theory]
    [InlineData(5, 100L, 4, 70L)]
    [InlineData(1, 10L, 1, 0L)]
    public void Before_another_comes_there_must_be_room_for_it(int archives, long bytes, int archivesBefore, long bytesBefore)
    {
        KeepRules rules = new KeepRules { Archives = archives, Bytes = bytes, CollapseTitles = true }.WithOneMore(30);
        Assert.Equal((archivesBefore, bytesBefore, true), (rules.Archives!.Value, rules.Bytes!.Value, rules.CollapseTitles));
        Assert.True(new KeepRules().WithOneMore(30).KeepAll);
    }
}
