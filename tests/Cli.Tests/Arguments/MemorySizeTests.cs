using Cli.Arguments;

namespace Cli.Tests.Arguments;

public sealed class MemorySizeTests
{
    [Theory]
    [InlineData("1M", 1048576)]
    [InlineData("256M", 268435456)]
    [InlineData("256m", 268435456)]
    [InlineData("4G", 4294967296)]
    [InlineData("512G", 549755813888)]
    [InlineData("1024K", 1048576)]
    [InlineData("1028k", 1052672)]
    public void A_number_and_a_unit_is_a_size(string text, ulong bytes)
    {
        Assert.True(MemorySize.TryParse(text, out ulong parsed, out string error), error);
        Assert.Equal(bytes, parsed);
    }

    [Theory]
    [InlineData("", "not a memory size")]
    [InlineData("256", "not a memory size")]
    [InlineData("M", "not a memory size")]
    [InlineData("-1M", "not a memory size")]
    [InlineData("1.5G", "not a memory size")]
    [InlineData("0x10M", "not a memory size")]
    [InlineData("256MB", "not a memory size")]
    [InlineData(" 1M", "not a memory size")]
    [InlineData("1T", "not a memory size")]
    [InlineData("99999999999999999999M", "not a memory size")]
    [InlineData("0M", "out of range")]
    [InlineData("1023K", "out of range")]
    [InlineData("513G", "out of range")]
    [InlineData("18446744073709551615G", "out of range")]
    [InlineData("17179869185G", "out of range")]
    [InlineData("1025K", "whole number of 4K pages")]
    public void Anything_else_is_refused_with_the_reason(string text, string reason)
    {
        Assert.False(MemorySize.TryParse(text, out _, out string error));
        Assert.Contains(reason, error);
    }

    [Theory]
    [InlineData(1073741824, "1G")]
    [InlineData(268435456, "256M")]
    [InlineData(1052672, "1028K")]
    public void A_size_is_shown_in_its_largest_whole_unit(ulong bytes, string text) => Assert.Equal(text, MemorySize.Format(bytes));
}
