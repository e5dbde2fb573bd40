using GuestOs.Linux.Symbols;

namespace GuestOs.Tests.Symbols;

public sealed class OrcTests
{
    // Entries of rsp+16 with rbp at the CFA less 16: called; all registers at rsp; the CPU's five words; rbp+8 indirect;
    // undefined; end. By arch/x86/include/asm/orc_types.h of each version.
    [Theory]
    [InlineData("6.1.0", "1000f0ff1500", "Sp 16 PreviousSp -16 Call False")]
    [InlineData("6.1.0", "000000000501", "Sp 0 Undefined 0 Registers True")]
    [InlineData("6.1.0", "000000000502", "Sp 0 Undefined 0 InterruptFrame True")]
    [InlineData("6.1.0", "080000000800", "BpIndirect 8 Undefined 0 Call False")]
    [InlineData("6.1.0", "000000000000", "Undefined 0 Undefined 0 Undefined False")]
    [InlineData("6.1.0", "000000000004", "Undefined 0 Undefined 0 EndOfStack False")]
    [InlineData("6.3.0", "1000f0ff1500", "Sp 16 PreviousSp -16 Call False")]
    [InlineData("6.3.0", "000000000505", "Sp 0 Undefined 0 Registers True")]
    [InlineData("6.3.0", "000000000008", "Undefined 0 Undefined 0 EndOfStack False")]
    [InlineData("6.12.0", "1000f0ff1502", "Sp 16 PreviousSp -16 Call False")]
    [InlineData("6.12.0", "00000000050b", "Sp 0 Undefined 0 Registers True")]
    [InlineData("6.12.0", "00000000050c", "Sp 0 Undefined 0 InterruptFrame True")]
    [InlineData("6.12.0", "000000000000", "Undefined 0 Undefined 0 Undefined False")]
    [InlineData("6.12.0", "000000000001", "Undefined 0 Undefined 0 EndOfStack False")]
    [InlineData("7.1.0", "1000f0ff8302", "Sp 16 PreviousSp -16 Call False")]
    [InlineData("7.1.0", "080000000a02", "BpIndirect 8 Undefined 0 Call False")]
    [InlineData("7.1.0", "08000000090b", "SpIndirect 8 Undefined 0 Registers True")]
    public void Each_versions_entries_are_read_by_release(string release, string entry, string expected) =>
        Assert.Equal(expected, Read(OrcLayout.Of(null, release, Table(release)), entry));

    [Fact]
    public void The_layout_of_BTF_wins_over_the_release()
    {
        // Red Hat's 5.14 has the entries of 6.4.
        var writer = new BtfWriter();
        int word = writer.Int("unsigned int", 4), half = writer.Int("short int", 2, 1);
        writer.BitStruct("orc_entry", 6, ("sp_offset", half, 0, 0), ("bp_offset", half, 16, 0), ("sp_reg", word, 32, 4), ("bp_reg", word, 36, 4), ("type", word, 40, 3), ("signal", word, 43, 1));
        Btf types = Btf.Parse(writer.Build(), null, out _)!;
        Assert.Equal("Sp 0 Undefined 0 Registers True", Read(OrcLayout.Of(types, "5.14.0-517.el9", Table("6.12.0")), "00000000050b"));
        Assert.Equal("Sp 16 PreviousSp -16 Call False", Read(OrcLayout.Of(types, "5.14.0-517.el9", Table("6.12.0")), "1000f0ff1502"));
    }

    private static string Read(OrcLayout layout, string entry)
    {
        OrcRow row = layout.Read(Convert.FromHexString(entry));
        return $"{row.Sp} {row.SpOffset} {row.Bp} {row.BpOffset} {row.Kind} {row.Signal}";
    }

    // Most of any kernel's rows count from rsp: 5 until 7.0, 3 from 7.1.
    private static byte[] Table(string release) => Convert.FromHexString(string.Concat(Enumerable.Repeat(release == "7.1.0" ? "080000000302" : "080000000502", 100)));
}
