using System.Buffers.Binary;
using System.Globalization;
using Debugging.Commands;
using Debugging.X86;
using Emulator;
using GdbStub.Targets;

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
    private readonly Looks looks = new();

    /// <param name="connection">The machine, and what may be done with it; disposed with the target.</param>
    /// <param name="options">How it is presented.</param>
    /// <param name="process">Its number among the processes of its endpoint.</param>
    public MachineTarget(IMachineConnection connection, DebugOptions options, int process = 1)
    {
        this.connection = connection;
        this.options = options;
        ProcessId = process;
        commands = new MonitorTable(options);
    }

    public TargetDescription Description => X86Description.Instance;

    public int ProcessId { get; }

    public IReadOnlyList<TargetThread> Threads
    {
        get
        {
            using Visit visit = new(connection.Access);
            Refresh(visit.View);

            // Asked for at every step: the words are made again only when they would be others.
            bool same = looks.Threads.Length == looks.Glances.Length;
            for (int i = 0; same && i < looks.Threads.Length; i++)
            {
                same = MonitorText.SameMode(looks.Glances[i], looks.ThreadGlances[i]);
            }

            if (!same)
            {
                looks.ThreadGlances = [.. looks.Glances];
                looks.Threads = new TargetThread[looks.Glances.Length];
                for (int i = 0; i < looks.Threads.Length; i++)
                {
                    string name = string.Create(CultureInfo.InvariantCulture, $"vCPU {i}");
                    looks.Threads[i] = new TargetThread(i + 1, name, MonitorText.Mode(looks.Glances[i]), i);
                }
            }

            return looks.Threads;
        }
    }

    public StopReport CurrentStop
    {
        get
        {
            IMachineAccess access = connection.Access;
            using Visit visit = new(access);
            return StopReports.Standing(access.Cause, visit.View.CurrentVcpu);
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
            return options.Guest!.TextSegment(visit.View);
        }
    }

    public TargetError Unsupported(TargetAbility ability) =>
        new(TargetError.NotPermitted, ability == TargetAbility.Run ? options.CannotRun ?? connection.CannotRun : options.CannotWrite);

    public bool TryReadRegister(int thread, int register, Span<byte> value)
    {
        using Visit visit = new(connection.Access);
        Refresh(visit.View);
        if (X86Registers.TryRead(looks.Glances[thread - 1], register, out ulong bits))
        {
            Span<byte> wide = stackalloc byte[sizeof(ulong)];
            BinaryPrimitives.WriteUInt64LittleEndian(wide, bits);
            wide[..value.Length].CopyTo(value);
            return true;
        }

        return X86Registers.TryRead(Vcpus(visit.View)[thread - 1], visit.View.InstructionCount, register, value);
    }

    public int ReadMemory(int thread, ulong address, Span<byte> destination)
    {
        using Visit visit = new(connection.Access);
        Refresh(visit.View);
        return VirtualMemory.Read(visit.View, VirtualMemory.RegistersOf(looks.Glances[thread - 1]), address, destination);
    }

    public int WriteMemory(int thread, ulong address, ReadOnlySpan<byte> source)
    {
        IMachineAccess access = connection.Access;
        using Visit visit = new(access);
        Refresh(visit.View);
        int written = VirtualMemory.Write((IMutableMachineView)visit.View, VirtualMemory.RegistersOf(looks.Glances[thread - 1]), address, source);
        access.Changed();
        return written;
    }

    public TargetError? WriteRegisters(int thread, IReadOnlyList<RegisterValue> values)
    {
        IMachineAccess access = connection.Access;
        using Visit visit = new(access);
        Refresh(visit.View);
        VcpuState before = Vcpus(visit.View)[thread - 1];
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
            ((IMutableMachineView)visit.View).SetVcpu(thread - 1, state);
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
        Refresh(visit.View);
        var space = new AddressSpace(visit.View, VirtualMemory.RegistersOf(looks.Glances[thread - 1]));
        MappedRange range = space.Extend(space.Find(address), steps);
        MemoryAccess access = !range.Mapped ? MemoryAccess.None
            : MemoryAccess.Read | (range.Writable ? MemoryAccess.Write : 0) | (range.Executable ? MemoryAccess.Execute : 0);
        return new MemoryRegion(range.Start, range.Last, access);
    }

    int IMemoryRegions.DirtyPages(int thread, ulong start, ulong last, Span<ulong> pages)
    {
        using Visit visit = new(connection.Access);
        Refresh(visit.View);
        return DirtyMemory.Find(visit.View, VirtualMemory.RegistersOf(looks.Glances[thread - 1]), start, last, pages);
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

    public string Execute(int thread, string command) => commands.Execute(new MonitorContext(connection, options, thread - 1), command);

    public void Dispose() => connection.Dispose();

    private IReadOnlyList<VcpuState> Vcpus(IMachineView view) => looks.States ??= view.Vcpus;

    /// <summary>Looks at the registers again when they may have changed.</summary>
    private void Refresh(IMachineView view)
    {
        IMachineAccess access = connection.Access;
        if (looks.Access == access && looks.Version == access.Version)
        {
            return;
        }

        looks.States = null;
        if (looks.Access != access)
        {
            looks.Glances = new VcpuGlance[view.VcpuCount];
        }

        for (int i = 0; i < looks.Glances.Length; i++)
        {
            view.Glance(i, out looks.Glances[i]);
        }

        looks.Access = access;
        looks.Version = access.Version;
    }

    /// <summary>The registers as of a version of a machine.</summary>
    private sealed class Looks
    {
        public IMachineAccess? Access { get; set; }

        public long Version { get; set; }

        public VcpuGlance[] Glances { get; set; } = [];

        public IReadOnlyList<VcpuState>? States { get; set; }

        public TargetThread[] Threads { get; set; } = [];

        /// <summary>The registers the threads were described by.</summary>
        public VcpuGlance[] ThreadGlances { get; set; } = [];
    }

    private readonly ref struct Visit(IMachineAccess access)
    {
        public IMachineView View { get; } = access.Enter();

        public void Dispose() => access.Leave();
    }
}
