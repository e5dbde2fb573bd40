using Emulator.Boot;

namespace Emulator.Tests.Boot;

public sealed class E820Tests
{
    [Theory]
    [InlineData(0x10_0000UL, "0-9fc00:1 9fc00-a0000:2 e0000-100000:2")]
    [InlineData(0x1000_0000UL, "0-9fc00:1 9fc00-a0000:2 e0000-100000:2 100000-10000000:1")]
    [InlineData(0xC000_0000UL, "0-9fc00:1 9fc00-a0000:2 e0000-100000:2 100000-c0000000:1")]
    [InlineData(0xC000_1000UL, "0-9fc00:1 9fc00-a0000:2 e0000-100000:2 100000-c0000000:1 100000000-100001000:1")]
    [InlineData(0x1_4000_0000UL, "0-9fc00:1 9fc00-a0000:2 e0000-100000:2 100000-c0000000:1 100000000-180000000:1")]
    public void The_map_follows_the_physical_layout(ulong ram, string expected) => Assert.Equal(expected, Text(E820.Build(ram)));

    [Fact]
    public void A_reserved_entry_cuts_what_is_beneath_it() => Assert.Equal(
        "0-9fc00:1 9fc00-a0000:2 e0000-100000:2 100000-700000:1 700000-710000:4 710000-800000:1",
        Text(E820.Build(0x80_0000, [new(0x70_0000, 0x1_0000, E820Type.AcpiNvs)])));

    [Fact]
    public void A_later_entry_overrides_an_earlier_one_and_neighbours_of_a_type_merge() => Assert.Equal(
        "0-9fc00:1 9fc00-a0000:2 e0000-100000:2 100000-700000:1 700000-720000:3 fec00000-fec01000:2",
        Text(E820.Build(0x72_0000, [
            new(0xFEC0_0000, 0x1000, E820Type.Reserved),
            new(0x70_0000, 0x2_0000, E820Type.Unusable),
            new(0x70_0000, 0x1_0000, E820Type.AcpiReclaimable),
            new(0x71_0000, 0x1_0000, E820Type.AcpiReclaimable)])));

    [Theory]
    [InlineData(0UL)]
    [InlineData(0xF_F000UL)]
    [InlineData(0x100_0001UL)]
    [InlineData(ulong.MaxValue - 4095)]
    public void An_amount_of_ram_that_is_none_is_refused(ulong ram) => Assert.Throws<BootException>(() => E820.Build(ram));

    [Fact]
    public void More_entries_than_the_zero_page_holds_are_refused() => Assert.Contains("128 is the limit", Assert.Throws<BootException>(() =>
        E820.Build(0x1000_0000, Enumerable.Range(0, 65).Select(i => new E820Entry(0x20_0000 + ((ulong)i << 13), 0x1000, E820Type.Reserved)))).Message, StringComparison.Ordinal);

    private static string Text(IReadOnlyList<E820Entry> map) => string.Join(' ', map.Select(e => $"{e.Start:x}-{e.End:x}:{(uint)e.Type}"));
}
