using Emulator;

namespace Snapshots.Tests.RealTools;

/// <summary>A real kernel's panic in the files QEMU's dump-guest-memory writes, read by us and held against pmemsave's image of the same instant.</summary>
public class QemuDumpTests
{
    [Fact]
    public async Task QEMUs_dumps_have_the_memory_and_the_registers_that_its_monitor_shows()
    {
        (string kernel, _) = GuestFiles.KernelOrSkip();
        using var directory = new TemporaryDirectory();
        QemuPanic panic = await QemuPanic.CaptureAsync(kernel, 2, directory.Path);
        foreach (string name in (string[])["elf", "paging", "zlib"])
        {
            using IMachineImage image = ImageFile.Open(directory.File(name));
            Compare(panic, image, name);
            Assert.Equal(2, image.Vcpus.Count);
            for (int i = 0; i < 2; i++)
            {
                VcpuState expected = panic.Vcpus[i], actual = image.Vcpus[i];
                Assert.Equal(expected.Gpr, actual.Gpr);
                Assert.Equal(
                    (expected.Rip, expected.Rflags, expected.Cr0, expected.Cr3, expected.Cr4, expected.Efer, expected.Gdtr, expected.Idtr),
                    (actual.Rip, actual.Rflags, actual.Cr0, actual.Cr3, actual.Cr4, actual.Efer, actual.Gdtr, actual.Idtr));
                Assert.Equal(expected.Segments[..6], actual.Segments[..6]);
            }
        }
    }

    private static void Compare(QemuPanic panic, IMachineImage image, string name)
    {
        byte[] page = new byte[4096];
        int missing = 0;
        for (ulong at = 0; at < QemuPanic.MemorySize; at += 4096)
        {
            int read = image.ReadPhysical(at, page);
            if (at is >= 0xA_0000 and < 0xC_0000)
            {
                continue; // the VGA window
            }

            if (read == 0 && name == "paging")
            {
                missing++; // what the kernel maps nowhere
                continue;
            }

            Assert.True(read == 4096 && page.AsSpan().SequenceEqual(panic.Ram.AsSpan((int)at, 4096)), $"{name}: page 0x{at:x} differs");
        }

        Assert.InRange(missing, 0, 256);
    }
}
