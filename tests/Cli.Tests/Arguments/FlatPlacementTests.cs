using Cli.Arguments;
using Emulator.Boot;

namespace Cli.Tests.Arguments;

public sealed class FlatPlacementTests
{
    [Theory]
    [InlineData("0x7c00:real", 0x7C00, FlatEntryMode.Real)]
    [InlineData("31744", 0x7C00, FlatEntryMode.Real)]
    [InlineData("0x100000", 0x100000, FlatEntryMode.Protected)]
    [InlineData("0x1000:protected", 0x1000, FlatEntryMode.Protected)]
    [InlineData("0x200000:long", 0x200000, FlatEntryMode.Long)]
    public void An_address_and_a_mode_is_a_placement(string text, ulong address, FlatEntryMode mode)
    {
        Assert.True(FlatPlacement.TryParse(text, out FlatPlacement? placement, out string error), error);
        Assert.Equal(new FlatPlacement(address, mode), placement);
    }

    [Theory]
    [InlineData("", "address")]
    [InlineData(":real", "address")]
    [InlineData("0x", "address")]
    [InlineData("7c00h", "address")]
    [InlineData("0x10000000000000000", "address")]
    [InlineData("0x7c00:", "not a CPU mode")]
    [InlineData("0x7c00:16", "not a CPU mode")]
    [InlineData("0x100000:real", "out of reach in real mode")]
    public void Anything_else_is_refused_with_the_reason(string text, string reason)
    {
        Assert.False(FlatPlacement.TryParse(text, out _, out string error));
        Assert.Contains(reason, error);
    }
}
