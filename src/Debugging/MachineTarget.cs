using Debugging.Commands;
using Debugging.Kernels;
using Debugging.X86;
using Emulator;
using GdbStub.Targets;
using GuestOs.Linux.Symbols;
using GuestOs.Linux.Symbols.Elf;

namespace Debugging;

/// <summary>
/// A machine as a debugger sees it. Whether it is live, frozen or archived is the business of the connection it looks through:
/// for the same registers and memory every answer is the same.
/// </summary>
internal sealed class MachineTarget : IDebugTarget, ITargetWriter, IMonitor, IPhysicalMemory, IMemoryMap, IMemoryRegions, ITransferObjects, IRelocation
{
    private const string VmcoreinfoObject = "vmcoreinfo";

    private readonly IMachineConnection connection;
    private readonly DebugOptions options;
    private readonly MonitorTable commands;
    private readonly KernelLook? kernel;
    private readonly KernelFiles? files;
    private readonly MachineThreads threads;

    /// <param name="connection">The machine, and what may be done with it; disposed with the target.</param>
    /// <param name="options">How it is presented.</param>
    /// <param name="process">Its number among the processes of its endpoint.</param>
    public MachineTarget(IMachineConnection connection, DebugOptions options, int process = 1)
    {
        this.connection = connection;
        this.options = options;
        ProcessId = process;
        commands = new MonitorTable(options);
        kernel = options.Kernels is null ? null : new KernelLook(() => options.Guest?.KnownVmcoreinfo);
        files = options.Kernels is { } symbols ? new KernelFiles(symbols, LookForFile) : null;
        threads = new MachineThreads(connection, kernel, options.Kernels is { Threads: ThreadListing.Tasks });
    }

    public TargetDescription Description => X86Description.Instance;

    public int ProcessId { get; }

    public IReadOnlyList<TargetThread> Threads
    {
        get
        {
            using Visit visit = new(connection.Access);
            return threads.All(visit.View);
        }
    }

    public IReadOnlyList<TargetThread> RunnableThreads
    {
        get
        {
            using Visit visit = new(connection.Access);
            return threads.Vcpus(visit.View);
        }
    }

    public StopReport CurrentStop
    {
        get
        {
            IMachineAccess access = connection.Access;
            using Visit visit = new(access);
            int? panicked = access.Cause is null && access is ImageAccess ? kernel?.Of(access, visit.View)?.PanicVcpu : null;
            return StopReports.Standing(access.Cause, visit.View.CurrentVcpu, panicked);
        }
    }

    public ITargetWriter? Writer => connection.Writable ? this : null;

    public IRunControl? RunControl => connection.RunControl;

    public IBreakpoints? Breakpoints => connection.Breakpoints;

    public IMonitor? Monitor => this;

    public ISteppingPolicy? Stepping => connection.Stepping;

    public IPhysicalMemory? PhysicalMemory => this;

    public IMemoryRegions? Regions => this;

    public IMemoryMap? MemoryMap => this;

    public ITransferObjects? Objects => options.Guest is null ? null : this;

    public IVirtualFiles? Files => files;

    public IRelocation? Relocation => options.Guest is null ? null : this;

    /// <summary>A look stops it between two instructions, which it does not notice.</summary>
    public bool ReadableWhileRunning => connection.RunControl is not null;

    /// <summary>Any address may come to be mapped: two halves, since one length does not fit the whole.</summary>
    public IReadOnlyList<MemoryMapEntry> Entries { get; } =
        [new(MemoryKind.Ram, 0, 1UL << 63), new(MemoryKind.Ram, 1UL << 63, 1UL << 63)];

    public IReadOnlyList<string> Names => [VmcoreinfoObject];

    public int PageSize => Emulator.Memory.GuestMemory.PageSize;

    public ulong? TextSegment
    {
        get
        {
            using Visit visit = new(connection.Access);
            return options.Guest!.TextSegment(visit.View)
                ?? (kernel?.Of(connection.Access, visit.View) is { Symbols: { } symbols } && symbols.TryGetAddress("_text", out ulong text) ? text : null);
        }
    }

    public TargetError Unsupported(TargetAbility ability) =>
        new(TargetError.NotPermitted, ability == TargetAbility.Run ? options.CannotRun ?? connection.CannotRun : options.CannotWrite);

    public bool TryReadRegister(int thread, int register, Span<byte> value)
    {
        using Visit visit = new(connection.Access);
        return threads.TryReadRegister(visit.View, thread, register, value);
    }

    public int ReadMemory(int thread, ulong address, Span<byte> destination)
    {
        using Visit visit = new(connection.Access);
        return VirtualMemory.Read(visit.View, threads.PagingOf(visit.View, thread), address, destination);
    }

    public int WriteMemory(int thread, ulong address, ReadOnlySpan<byte> source)
    {
        IMachineAccess access = connection.Access;
        using Visit visit = new(access);
        int written = VirtualMemory.Write((IMutableMachineView)visit.View, threads.PagingOf(visit.View, thread), address, source);
        access.Changed();
        return written;
    }

    public TargetError? WriteRegisters(int thread, IReadOnlyList<RegisterValue> values)
    {
        IMachineAccess access = connection.Access;
        using Visit visit = new(access);
        if (threads.VcpuOf(visit.View, thread) is not int vcpu)
        {
            return new TargetError(TargetError.NotPermitted, "a task that waits has no registers to write: they are on its stack");
        }

        VcpuState before = threads.StateOf(visit.View, vcpu);
        ulong now = visit.View.InstructionCount;
        VcpuState state = X86Registers.Copy(before);
        bool changes = false;
        Span<byte> present = stackalloc byte[16];
        foreach (RegisterValue value in values)
        {
            // A client that writes all registers back to change one has not asked for the others.
            Span<byte> current = present[..value.Value.Length];
            if (TryReadRegister(thread, value.Register, current) && current.SequenceEqual(value.Value.Span))
            {
                continue;
            }

            if (X86Registers.TryWrite(state, now, value.Register, value.Value.Span) is not { } written)
            {
                return new TargetError(TargetError.NotPermitted, $"{Description.Registers[value.Register].Name} cannot be written");
            }

            state = written;
            changes = true;
        }

        if (!changes)
        {
            return null;
        }

        try
        {
            ((IMutableMachineView)visit.View).SetVcpu(vcpu, state);
        }
        catch (ArgumentException exception)
        {
            return new TargetError(TargetError.Invalid, exception.Message);
        }

        access.Changed();
        return null;
    }

    int IPhysicalMemory.Read(ulong address, Span<byte> destination)
    {
        using Visit visit = new(connection.Access);
        return visit.View.ReadPhysical(address, destination);
    }

    int IPhysicalMemory.Write(ulong address, ReadOnlySpan<byte> source)
    {
        IMachineAccess access = connection.Access;
        using Visit visit = new(access);
        int written = ((IMutableMachineView)visit.View).WritePhysical(address, source);
        access.Changed();
        return written;
    }

    MemoryRegion IMemoryRegions.Find(int thread, ulong address)
    {
        const int steps = 4096;
        using Visit visit = new(connection.Access);
        var space = new AddressSpace(visit.View, threads.PagingOf(visit.View, thread));
        MappedRange range = space.Extend(space.Find(address), steps);
        MemoryAccess access = !range.Mapped ? MemoryAccess.None
            : MemoryAccess.Read | (range.Writable ? MemoryAccess.Write : 0) | (range.Executable ? MemoryAccess.Execute : 0);
        return new MemoryRegion(range.Start, range.Last, access);
    }

    int IMemoryRegions.DirtyPages(int thread, ulong start, ulong last, Span<ulong> pages)
    {
        using Visit visit = new(connection.Access);
        return DirtyMemory.Find(visit.View, threads.PagingOf(visit.View, thread), start, last, pages);
    }

    ReadOnlyMemory<byte>? ITransferObjects.Read(string name, string annex)
    {
        if (name != VmcoreinfoObject || annex.Length != 0)
        {
            return null;
        }

        using Visit visit = new(connection.Access);
        return options.Guest?.Vmcoreinfo(visit.View);
    }

    public string Execute(int thread, string command) => commands.Execute(new MonitorContext(connection, options, threads, kernel, thread), command);

    public void Dispose() => connection.Dispose();

    private SymbolFile? LookForFile(Func<KernelImage?, SymbolFile?> make)
    {
        using Visit visit = new(connection.Access);
        return make(kernel!.Of(connection.Access, visit.View, search: true));
    }

    private readonly ref struct Visit(IMachineAccess access)
    {
        public IMachineView View { get; } = access.Enter();

        public void Dispose() => access.Leave();
    }
}
