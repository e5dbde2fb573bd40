using Emulator;
using Snapshots;

namespace Cli.Tests.Archives;

/// <summary>A crashed machine made up for the tests: 1 MiB of RAM, one vCPU in real mode with registers that tell themselves apart.</summary>
internal sealed class SampleImage : IMachineView
{
    private const ulong Size = 1 << 20;

    /// <summary>An instruction pointer that shows up as such.</summary>
    public const ulong Rip = 0x7C42;

    public IReadOnlyList<PhysicalRange> Ram => [new(0, 0xA0000), new(0xC0000, Size - 0xC0000)];

    public IReadOnlyList<VcpuState> Vcpus { get; } =
    [
        new()
        {
            Gpr = [.. Enumerable.Range(0, 16).Select(i => 0x1000UL + (ulong)i)],
            Rip = Rip,
            Rflags = 2,
            Segments = [.. Enumerable.Range(0, 8).Select(i => new SegmentState(0, (ushort)(i == 1 ? 0x9B : 0x93), 0xFFFF, 0))],
            Gdtr = new TableState(0, 0xFFFF),
            Idtr = new TableState(0, 0xFFFF),
            Cr0 = 0x10,
            Cr2 = 0,
            Cr3 = 0,
            Cr4 = 0,
            Cr8 = 0,
            Efer = 0,
            Xcr0 = 1,
            Dr = [0, 0, 0, 0, 0, 0, 0xFFFF0FF0, 0x400],
            Fx = new byte[512],
            Msrs = [],
            Halted = false,
            InterruptShadow = 0,
            NmiBlocked = false,
            NmiPending = false,
        },
    ];

    public int CurrentVcpu => 0;

    public ulong InstructionCount => 1_500_000_000;

    public MachineExit? StopCause => new(MachineExitKind.Reset, 0, InstructionCount, ResetCause.KeyboardController);

    /// <summary>Writes the image into a store as it would be after a run.</summary>
    public static StoredArchive WriteTo(string store, string title, int second) =>
        Store.Open(store).Write(new SampleImage(), null, new CaptureInfo
        {
            Kind = CaptureKind.Panic,
            Title = title,
            HostTime = new DateTimeOffset(2026, 5, 1, 12, 0, second, TimeSpan.Zero),
            StopCause = new SampleImage().StopCause,
            Cause = "kernel panic, then a reset",
            PanicText = "first line\n\u001b[31mred\u0007\n",
            GuestRelease = "6.1.0-test",
            MachineName = "sample",
            GuestNanoseconds = 1_500_000_000,
            CommandLine = "console=ttyS0",
        });

    public int ReadPhysical(ulong address, Span<byte> destination)
    {
        int done = 0;
        while (done < destination.Length && Ram.Any(range => address + (ulong)done - range.Start < range.Length))
        {
            destination[done] = (byte)((address + (ulong)done) * 7);
            done++;
        }

        return done;
    }

    public bool IsUntouched(ulong address) => false;
}
