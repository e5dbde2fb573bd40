using Emulator;

namespace Snapshots.Tests;

public class OverlayViewTests : IDisposable
{
    private readonly Snapshot below = Samples.Snapshot(cpus: 2);

    public void Dispose() => below.Dispose();

    [Fact]
    public void Writes_show_in_the_overlay_and_never_below()
    {
        var overlay = new OverlayView(below);
        byte[] patch = [1, 2, 3, 4, 5, 6];
        byte[] before = new byte[6];
        byte[] after = new byte[6];
        below.ReadPhysical(0x4FFD, before);

        Assert.Equal(6, overlay.WritePhysical(0x4FFD, patch)); // the end of page 4 and the beginning of page 5
        Assert.Equal(6, overlay.ReadPhysical(0x4FFD, after));
        Assert.Equal(patch, after);
        below.ReadPhysical(0x4FFD, after);
        Assert.Equal(before, after);
        Assert.Equal(2, overlay.PagesWritten);
        Assert.False(overlay.IsUntouched(0x5000));
        Assert.True(below.IsUntouched(0x5000));
    }

    [Theory]
    [InlineData(0x9_FFFCUL, 8, 4)]
    [InlineData(0xA_0000UL, 8, 0)]
    [InlineData(0xF_FFFFUL, 2, 1)]
    [InlineData(0xFFFF_FFFF_FFFF_FFFFUL, 1, 0)]
    public void A_write_ends_where_RAM_ends(ulong address, int length, int expected)
    {
        var overlay = new OverlayView(below);

        Assert.Equal(expected, overlay.WritePhysical(address, new byte[length]));
        Assert.Equal(expected, overlay.ReadPhysical(address, new byte[length]));
    }

    [Fact]
    public void A_long_read_mixes_both()
    {
        var overlay = new OverlayView(below);
        overlay.WritePhysical(0x3000 + 100, [9]);
        byte[] expected = [.. Samples.Page(2)!, .. Samples.Page(3)!, .. Samples.Page(4)!];
        expected[4096 + 100] = 9;
        byte[] actual = new byte[3 * 4096];

        Assert.Equal(actual.Length, overlay.ReadPhysical(0x2000, actual));
        Assert.Equal(expected, actual);
    }

    [Fact]
    public void Registers_are_replaced_in_the_overlay_only()
    {
        var overlay = new OverlayView(below);
        overlay.SetVcpu(1, below.Vcpus[1] with { Rip = 0x1234 });

        Assert.Equal(0x1234UL, overlay.Vcpus[1].Rip);
        Assert.Equal(Samples.Vcpu(1).Rip, below.Vcpus[1].Rip);
        Assert.Same(below.Vcpus[0], overlay.Vcpus[0]);
    }

    [Fact]
    public void A_state_no_CPU_can_be_in_is_refused()
    {
        var overlay = new OverlayView(below);
        VcpuState good = below.Vcpus[0];
        VcpuState[] bad =
        [
            good with { Gpr = new ulong[15] },
            good with { Fx = [] },
            good with { Segments = new SegmentState[8] },
            good with { Cr0 = 0x8000_0000 },
            good with { Cr0 = 1UL << 32 },
            good with { Cr4 = 0 },
            good with { Cr8 = 16 },
        ];
        foreach (VcpuState state in bad)
        {
            Assert.Throws<ArgumentException>(() => overlay.SetVcpu(0, state));
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => overlay.SetVcpu(2, good));
    }
}
