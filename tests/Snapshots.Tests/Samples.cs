using Emulator;
using Emulator.Devices;
using Emulator.Memory;

namespace Snapshots.Tests;

/// <summary>Machines made up for the tests: every number differs from its neighbours, so that an exchange shows.</summary>
internal static class Samples
{
    public static ChipsetState Devices()
    {
        using var machine = new Machine(new MachineOptions { Memory = 1 << 20 });
        return machine.Save().Devices;
    }

    public static VcpuState Vcpu(ulong salt) => new()
    {
        Gpr = [.. Enumerable.Range(0, 16).Select(i => 0xFFFF_8880_0000_0000 + (salt << 8) + (ulong)i)],
        Rip = 0xFFFF_FFFF_8100_0000 + salt,
        Rflags = 0x202,
        Segments = [.. Enumerable.Range(0, 8).Select(i => new SegmentState((ushort)(8 * i), 0xA09B, 0xFFFF_FFFF, 0x1000 * (ulong)i))],
        Gdtr = new TableState(0xFFFF_FE00_0000_1000, 0x7F),
        Idtr = new TableState(0xFFFF_FE00_0000_0000, 0xFFF),
        Cr0 = 0x8005_0033,
        Cr2 = ulong.MaxValue,
        Cr3 = 0x0123_4000,
        Cr4 = 0x6B0,
        Cr8 = 3,
        Efer = 0xD01,
        Xcr0 = 3,
        Dr = [1, 2, 3, 4, 0, 0, 0xFFFF_0FF0, 0x400],
        Fx = [.. Enumerable.Range(0, 512).Select(i => (byte)(i + (int)salt))],
        Msrs = new SortedDictionary<uint, ulong> { [0x10] = salt, [0xC000_0102] = ulong.MaxValue - salt },
        Halted = salt % 2 == 1,
        InterruptShadow = 1,
        NmiBlocked = true,
        NmiPending = false,
    };

    public static MachineState State(int cpus = 1) => new()
    {
        Version = MachineState.CurrentVersion,
        InstructionCount = 12_345_678_901_234,
        Seed = ulong.MaxValue,
        RandomDraws = 7,
        Vcpus = [.. Enumerable.Range(0, cpus).Select(i => Vcpu((ulong)i))],
        Devices = Devices(),
    };

    public static CaptureInfo Info(string title = "kernel panic: it is a test", long seconds = 1_717_756_272) => new()
    {
        Kind = CaptureKind.Panic,
        Title = title,
        HostTime = DateTimeOffset.FromUnixTimeSeconds(seconds),
        StopCause = new MachineExit(MachineExitKind.Reset, 0, 12_345_678_901_234, ResetCause.KeyboardController),
        Cause = "i8042 pulse",
        PanicText = "Kernel panic - not syncing: it is a test\n é \u0001\n",
        GuestRelease = "6.1.0-56-cloud-amd64",
        BuildId = "3b43fad0",
        KernelOffset = 0x3160_0000,
        Vmcoreinfo = "OSRELEASE=6.1.0-56-cloud-amd64\nNUMBER(phys_base)=-65011712\nSYMBOL(_stext)=ffffffffb1600000\n",
        MachineName = "test",
        GuestNanoseconds = 12_345_678_901_234,
        CommandLine = "console=ttyS0",
    };

    /// <summary>RAM with zero pages, equal pages, pages that shrink and pages that do not, in a pattern fixed by the page's number.</summary>
    public static unsafe GuestMemory Memory(ulong size)
    {
        var memory = new GuestMemory(size);
        for (ulong page = 0; page < size / GuestMemory.PageSize; page++)
        {
            byte[]? bytes = Page(page);
            if (bytes is not null)
            {
                bytes.CopyTo(new Span<byte>(memory.WritePage(page), GuestMemory.PageSize));
            }
        }

        return memory;
    }

    /// <summary>RAM with our own code in it: what zstd at its fastest leaves large and zlib does not.</summary>
    public static unsafe GuestMemory Code()
    {
        byte[] code = File.ReadAllBytes(typeof(Store).Assembly.Location);
        var memory = new GuestMemory(1 << 20);
        for (int page = 0; page < Math.Min(code.Length / 4096, 128); page++)
        {
            code.AsSpan(page * 4096, 4096).CopyTo(new Span<byte>(memory.WritePage((ulong)page), 4096));
        }

        return memory;
    }

    /// <summary>The contents of page number <paramref name="page"/> of RAM; null where it was never written.</summary>
    public static byte[]? Page(ulong page)
    {
        byte[] bytes = new byte[GuestMemory.PageSize];
        switch (page % 5)
        {
            case 0:
                return null;
            case 1: // written, but zeros
                return bytes;
            case 2: // one of three contents
                Array.Fill(bytes, (byte)(1 + (page % 3)));
                return bytes;
            case 3: // shrinks
                BitConverter.TryWriteBytes(bytes.AsSpan(100), page);
                return bytes;
            default: // does not
                new Random((int)page).NextBytes(bytes);
                return bytes;
        }
    }

    public static Snapshot Snapshot(ulong size = 1 << 20, int cpus = 1, CaptureInfo? info = null)
    {
        using GuestMemory memory = Memory(size);
        return new Snapshot(memory.Freeze(), State(cpus), info ?? Info());
    }
}
