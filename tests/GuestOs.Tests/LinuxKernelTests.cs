using Emulator;
using GuestOs.Linux;

namespace GuestOs.Tests;

public sealed class LinuxKernelTests
{
    private const ulong OldStart = 0x0200_0000, NewStart = 0x0800_0000, OldKaslr = 0x0A00_0000, NewKaslr = 0x2340_0000;

    [Theory]
    [InlineData("kernel mode", true)]
    [InlineData("user mode under page table isolation", true)]
    [InlineData("real mode on the way to the BIOS", true)]
    [InlineData("the next boot's decompressor", false)]
    [InlineData("the next boot before its kernel says anything", false)]
    [InlineData("real mode after a reset", false)]
    [InlineData("no vCPU", false)]
    public void A_kernel_runs_when_a_vcpu_vouches_for_it(string cpu, bool running)
    {
        (GuestImage image, SyntheticKernel stale, SyntheticKernel current) = Rebooted();
        image.Cpus.AddRange(cpu switch
        {
            "kernel mode" => [GuestImage.LongMode(current.Cr3, current.Text)],
            "user mode under page table isolation" => [GuestImage.LongMode(current.WriteUserTables(0x0100_0000), 0x401000, lstar: current.SystemCallEntry)],
            "real mode on the way to the BIOS" => [GuestImage.RealMode(0xFFF0, current.SystemCallEntry)],
            "the next boot's decompressor" => [GuestImage.LongMode(Identity(image), 0x0100_0000)],
            "the next boot before its kernel says anything" => [GuestImage.LongMode(new SyntheticKernel(image, 0x0C00_0000, 0x3000_0000).Cr3, 0)],
            "real mode after a reset" => [GuestImage.RealMode(0xFFF0)],
            _ => Array.Empty<VcpuState>(),
        });
        LinuxKernel? found = LinuxKernel.FindRunning(image);
        Assert.Equal(running, found is not null);
        Assert.Equal(running ? NewKaslr : null, found?.Info.KernelOffset);
        Assert.NotEqual(stale.Kaslr, found?.Info.KernelOffset);
    }

    [Fact]
    public void The_same_addresses_elsewhere_in_RAM_are_another_kernels()
    {
        var image = new GuestImage();
        new SyntheticKernel(image, OldStart, NewKaslr).WithVmCoreInfo();
        SyntheticKernel current = new SyntheticKernel(image, NewStart, NewKaslr).WithVmCoreInfo();
        image.Cpus.Add(GuestImage.LongMode(current.Cr3, current.Text));
        Assert.Equal(current.PhysicalBase, LinuxKernel.FindRunning(image)?.Info.PhysicalBase);
    }

    [Fact]
    public void One_of_several_vcpus_is_enough()
    {
        (GuestImage image, _, SyntheticKernel current) = Rebooted();
        image.Cpus.Add(GuestImage.RealMode(0));
        image.Cpus.Add(GuestImage.LongMode(current.Cr3, current.Text));
        Assert.Equal(NewKaslr, LinuxKernel.FindRunning(image)?.Info.KernelOffset);
    }

    [Fact]
    public void When_none_runs_one_that_maps_itself_is_shown_but_not_called_running()
    {
        var image = new GuestImage();
        new SyntheticKernel(image).WithLog((0, 6, "Linux version 6.1"));
        LinuxKernel? found = LinuxKernel.Find(image);
        Assert.NotNull(found);
        Assert.False(found.Running);
        Assert.Equal("Linux version 6.1", Assert.Single(found.Log!.Records).Text);
    }

    [Fact]
    public void A_text_that_no_page_tables_bear_out_is_nobodys()
    {
        var image = new GuestImage();
        string text = new SyntheticKernel(new GuestImage()).VmCoreInfoText();
        image.Write(0x0400_0000, System.Text.Encoding.ASCII.GetBytes(text));
        Assert.Null(LinuxKernel.Find(image));
    }

    [Fact]
    public void Nothing_is_found_in_empty_RAM() => Assert.Null(LinuxKernel.Find(new GuestImage()));

    private static (GuestImage Image, SyntheticKernel Stale, SyntheticKernel Current) Rebooted()
    {
        var image = new GuestImage();
        return (image, new SyntheticKernel(image, OldStart, OldKaslr).WithVmCoreInfo(), new SyntheticKernel(image, NewStart, NewKaslr).WithVmCoreInfo());
    }

    private static ulong Identity(GuestImage image)
    {
        image.Write64(0x0180_0000, 0x0180_1003);
        image.Write64(0x0180_1000, 0x83);
        return 0x0180_0000;
    }
}
