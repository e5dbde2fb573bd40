using Emulator;
using Emulator.Memory;

namespace Snapshots;

/// <summary>
/// A machine as it was at one instant: RAM shared copy-on-write with the machine that runs on, and a copy of all its
/// other state. Cheap; any number may exist. Readable from any thread until it is disposed.
/// </summary>
public sealed class Snapshot : IMachineView, IDisposable
{
    private readonly Shared shared;
    private int disposed;

    /// <summary>Takes over <paramref name="memory"/>: it is released with the last snapshot that shares it.</summary>
    public Snapshot(MemorySnapshot memory, MachineState state, CaptureInfo info)
        : this(new Shared(memory), state, info)
    {
    }

    private Snapshot(Shared shared, MachineState state, CaptureInfo info)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(info);
        this.shared = shared;
        State = state;
        Info = info;
        Ram = RamMap.Ranges(shared.Memory.Size);
    }

    /// <summary>Everything apart from RAM.</summary>
    public MachineState State { get; }

    /// <summary>What is known about the capture.</summary>
    public CaptureInfo Info { get; }

    /// <summary>RAM, for putting a machine back where it was.</summary>
    public MemorySnapshot Memory
    {
        get
        {
            ObjectDisposedException.ThrowIf(Volatile.Read(ref disposed) != 0, this);
            return shared.Memory;
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<PhysicalRange> Ram { get; }

    /// <inheritdoc/>
    public IReadOnlyList<VcpuState> Vcpus => State.Vcpus;

    /// <inheritdoc/>
    public int CurrentVcpu => Info.CurrentVcpu;

    /// <inheritdoc/>
    public ulong InstructionCount => State.InstructionCount;

    /// <inheritdoc/>
    public MachineExit? StopCause => Info.StopCause;

    /// <summary>The last events before the instant; a copy of the machine's own. Null when none was kept.</summary>
    public ExceptionJournal? Journal { get; init; }

    MachineState? IMachineView.WholeState => State;

    /// <summary>
    /// Another snapshot of the same instant with a life of its own: one for a debugger, one for the archive writer.
    /// <paramref name="info"/> replaces what is known, once more has been found out. Not after this one is disposed.
    /// </summary>
    public Snapshot Share(CaptureInfo? info = null)
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref disposed) != 0, this);
        shared.Acquire();
        return new Snapshot(shared, State, info ?? Info) { Journal = Journal };
    }

    /// <inheritdoc/>
    public unsafe int ReadPhysical(ulong address, Span<byte> destination)
    {
        MemorySnapshot memory = Memory;
        int done = 0;
        while (done < destination.Length && RamMap.TryFind(memory.Size, address + (ulong)done, out ulong offset, out ulong contiguous))
        {
            int inPage = (int)(offset % GuestMemory.PageSize);
            int chunk = (int)Math.Min((ulong)Math.Min(destination.Length - done, GuestMemory.PageSize - inPage), contiguous);
            new ReadOnlySpan<byte>(memory.ReadPage(offset / GuestMemory.PageSize) + inPage, chunk).CopyTo(destination[done..]);
            done += chunk;
        }

        return done;
    }

    /// <inheritdoc/>
    public bool IsUntouched(ulong address) =>
        RamMap.TryFind(Memory.Size, address, out ulong offset, out _) && Memory.IsUntouched(offset / GuestMemory.PageSize);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposed, 1) == 0)
        {
            shared.Release();
        }
    }

    private sealed class Shared(MemorySnapshot memory)
    {
        private int holders = 1;

        public MemorySnapshot Memory => memory;

        public void Acquire() => Interlocked.Increment(ref holders);

        public void Release()
        {
            if (Interlocked.Decrement(ref holders) == 0)
            {
                memory.Dispose();
            }
        }
    }
}
