using System.Buffers.Binary;
using Emulator.Boot;

namespace Emulator.Tests.Boot;

/// <summary>The real thing: the kernel scripts/fetch-guests keeps.</summary>
public sealed class DebianKernelTests
{
    [Theory]
    [InlineData(256UL << 20)]
    [InlineData(4UL << 30)]
    public void Debians_kernel_stands_where_its_own_header_wants_it(ulong ram)
    {
        byte[] file = Kernel();
        var memory = new FakeBootMemory();
        var initrd = new byte[3_000_001];
        BootedGuest guest = BootLoader.Load(memory, new BootRequest
        {
            Kernel = file,
            Initrd = initrd,
            CommandLine = "console=ttyS0",
            MemoryMap = E820.Build(ram),
            RsdpAddress = 0xE0000,
        });

        ulong preferred = BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(0x258));
        uint initSize = BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(0x260));
        uint initrdMax = BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(0x22C));
        uint payload = BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(0x1F4)) * 16;
        int setup = (file[0x1F1] + 1) * 512;

        Assert.Equal(preferred + 0x200, guest.Vcpu.Rip);
        Assert.Equal(new BootPlacement("kernel", preferred, initSize), guest.Placements[0]);
        Assert.Equal(file.AsSpan(setup, (int)payload).ToArray(), memory.Read(preferred, (int)payload));
        Assert.All(memory.Read(preferred + payload, 4096), b => Assert.Equal(0, b));

        ulong page = guest.Vcpu.Gpr[6];
        ulong initrdAt = memory.Read32(page + 0x218);
        Assert.Equal(3_000_001U, memory.Read32(page + 0x21C));
        Assert.Equal(0UL, initrdAt % 4096);
        Assert.InRange(initrdAt, preferred + initSize, Math.Min(ram, initrdMax) - 3_000_001);
        Assert.True(Math.Min(ram, initrdMax + 1UL) - (initrdAt + 3_000_001) < 4096, "the initrd is as high as it can be");
        Assert.True(memory.Read32(page + 0x228) < 0x9_FC00);
    }

    [Fact]
    public void A_truncated_debian_kernel_is_refused()
    {
        byte[] file = Kernel();
        Assert.Contains("truncated", Assert.Throws<BootException>(() => BootLoader.Load(new FakeBootMemory(), new BootRequest
        {
            Kernel = file.AsMemory(0, file.Length - 8192),
            MemoryMap = E820.Build(256 << 20),
        })).Message, StringComparison.Ordinal);
    }

    private static byte[] Kernel()
    {
        string? cache = Environment.GetEnvironmentVariable("GDBSTUB_GUESTS");
        if (string.IsNullOrEmpty(cache))
        {
            string? xdg = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
            string root = string.IsNullOrEmpty(xdg) ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache") : xdg;
            cache = Path.Combine(root, "gdbstub", "guests");
        }

        string path = Path.Combine(cache, "debian", "vmlinuz");
        Assert.SkipUnless(File.Exists(path), $"no Debian kernel at {path}: run scripts/fetch-guests");
        return File.ReadAllBytes(path);
    }
}
