using GuestOs.Linux;

namespace GuestOs.Tests;

public sealed class EarlyKernelTests
{
    private const string Banner = "Linux version 6.12.3-generic (builder@host) #1 SMP";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_log_is_found_without_a_VMCOREINFO(bool shortIds)
    {
        (GuestImage image, _) = Guest(new RingWriter(8, 13) { ShortIds = shortIds }, Banner);
        LinuxKernel? kernel = LinuxKernel.FindRunning(image);
        Assert.NotNull(kernel);
        Assert.True(kernel.Info.IsReconstructed);
        Assert.Equal(0, kernel.Info.Text.Length);
        Assert.Equal(("6.12.3-generic", null, null), (kernel.Info.Release, kernel.Info.BuildId, kernel.Info.KernelOffset));
        Assert.Equal([Banner, "Kernel panic - not syncing: IO-APIC + timer doesn't work!"], kernel.Log!.Records.Select(record => record.Text));
    }

    [Theory]
    [InlineData("said Linux version 6.12.3-generic (builder@host)", "not at the start of a block")]
    [InlineData("Linux version of something", "not a release")]
    [InlineData("Linux version 6", "no end to the release")]
    public void Other_words_are_not_taken_for_the_first_message(string banner, string why)
    {
        (GuestImage image, _) = Guest(new RingWriter(8, 13), banner);
        Assert.True(LinuxKernel.FindRunning(image) is null, why);
    }

    [Fact]
    public void A_log_that_no_vcpu_maps_is_not_found()
    {
        (GuestImage image, _) = Guest(new RingWriter(8, 13), Banner);
        image.Cpus[0] = GuestImage.RealMode(0);
        Assert.Null(LinuxKernel.FindRunning(image));
        image.Cpus[0] = GuestImage.LongMode(new SyntheticKernel(image, 0x0C00_0000, 0x3000_0000).Cr3, 0);
        Assert.Null(LinuxKernel.FindRunning(image));
    }

    [Theory]
    [InlineData(27u, 13u)]
    [InlineData(8u, 8u)]
    [InlineData(8u, 32u)]
    public void A_ring_of_impossible_size_is_not_one(uint countBits, uint sizeBits)
    {
        (GuestImage image, _) = Guest(new RingWriter(8, 13) { CountBits = countBits, SizeBits = sizeBits }, Banner);
        Assert.Null(LinuxKernel.FindRunning(image));
    }

    private static (GuestImage Image, SyntheticKernel Kernel) Guest(RingWriter ring, string banner)
    {
        var image = new GuestImage();
        var kernel = new SyntheticKernel(image);
        ring.Add(banner, level: 5);
        ring.Add("Kernel panic - not syncing: IO-APIC + timer doesn't work!", level: 0);
        ring.WriteTo(kernel, image);
        image.Cpus.Add(GuestImage.LongMode(kernel.Cr3, kernel.Text));
        return (image, kernel);
    }
}
