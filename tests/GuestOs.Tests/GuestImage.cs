using System.Buffers.Binary;
using Emulator;

namespace GuestOs.Tests;

/// <summary>A guest that stands still, page by page as a test wrote it.</summary>
internal sealed class GuestImage : IMachineView
{
    public const int PageSize = 4096;

    public GuestImage(ulong size = 256UL << 20) => Ram = [new PhysicalRange(0, 0xA0000), new PhysicalRange(0x100000, size - 0x100000)];

    public Dictionary<ulong, byte[]> Pages { get; } = [];

    public IReadOnlyList<PhysicalRange> Ram { get; init; }

    public List<VcpuState> Cpus { get; } = [];

    public IReadOnlyList<VcpuState> Vcpus => Cpus;

    public int CurrentVcpu => 0;

    public ulong InstructionCount => 0;

    public MachineExit? StopCause => null;

    /// <summary>Reads that touched a page nobody wrote.</summary>
    public int UntouchedReads { get; private set; }

    public int ReadPhysical(ulong address, Span<byte> destination)
    {
        int done = 0;
        while (done < destination.Length)
        {
            ulong at = unchecked(address + (ulong)done);
            if (at - Ram[0].Start >= Ram[0].Length && at - Ram[1].Start >= Ram[1].Length)
            {
                break;
            }

            int offset = (int)(at % PageSize);
            int chunk = Math.Min(PageSize - offset, destination.Length - done);
            if (Pages.TryGetValue(at / PageSize, out byte[]? page))
            {
                page.AsSpan(offset, chunk).CopyTo(destination[done..]);
            }
            else
            {
                UntouchedReads++;
                destination.Slice(done, chunk).Clear();
            }

            done += chunk;
        }

        return done;
    }

    public bool IsUntouched(ulong address) => !Pages.ContainsKey(address / PageSize);

    public void Write(ulong address, ReadOnlySpan<byte> source)
    {
        for (int done = 0; done < source.Length;)
        {
            ulong at = address + (ulong)done;
            int offset = (int)(at % PageSize);
            int chunk = Math.Min(PageSize - offset, source.Length - done);
            if (!Pages.TryGetValue(at / PageSize, out byte[]? page))
            {
                Pages[at / PageSize] = page = new byte[PageSize];
            }

            source.Slice(done, chunk).CopyTo(page.AsSpan(offset));
            done += chunk;
        }
    }

    public void Write64(ulong address, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        Write(address, bytes);
    }

    public void Write32(ulong address, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        Write(address, bytes);
    }

    /// <summary>A vCPU in long mode, in kernel mode unless told.</summary>
    public static VcpuState LongMode(ulong cr3, ulong rip, bool la57 = false, ulong lstar = 0) =>
        Cpu(0x8005_0033, cr3, la57 ? 0x1020UL : 0x20, 0xD01, rip, lstar);

    /// <summary>A vCPU in real mode, as a kernel leaves it that resets through the BIOS.</summary>
    public static VcpuState RealMode(ulong rip, ulong lstar = 0) => Cpu(0x10, 0, 0, 0, rip, lstar);

    private static VcpuState Cpu(ulong cr0, ulong cr3, ulong cr4, ulong efer, ulong rip, ulong lstar) => new()
    {
        Gpr = new ulong[16],
        Rip = rip,
        Rflags = 2,
        Segments = [.. Enumerable.Range(0, 8).Select(_ => new SegmentState(0, 0, 0, 0))],
        Gdtr = new TableState(0, 0),
        Idtr = new TableState(0, 0),
        Cr0 = cr0,
        Cr2 = 0,
        Cr3 = cr3,
        Cr4 = cr4,
        Cr8 = 0,
        Efer = efer,
        Xcr0 = 1,
        Dr = new ulong[8],
        Fx = new byte[512],
        Msrs = lstar == 0 ? [] : new SortedDictionary<uint, ulong> { [0xC000_0082] = lstar },
        Halted = false,
        InterruptShadow = 0,
        NmiBlocked = false,
        NmiPending = false,
    };
}
