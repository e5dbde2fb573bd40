using System.Globalization;
using Debugging.Commands;
using Debugging.X86;
using Emulator;
using GdbStub.Targets;

namespace Debugging;

/// <summary>
/// A machine as a debugger sees it. Whether it is live, frozen or archived is the business of the access it looks through:
/// for the same registers and memory every answer is the same.
/// </summary>
internal sealed class MachineTarget : IDebugTarget, ITargetWriter, IMonitor
{
    private readonly IMachineAccess access;
    private readonly DebugOptions options;
    private readonly MonitorTable commands;
    private readonly bool writable;
    private readonly string cannotRun;
    private readonly Action closed;
    private IReadOnlyList<VcpuState> vcpus = [];
    private long vcpusVersion = -1;

    /// <param name="access">The machine.</param>
    /// <param name="options">How it is presented.</param>
    /// <param name="writable">Whether this connection may change it; it must then be an <see cref="IMutableMachineView"/>.</param>
    /// <param name="run">Run control, for the one connection that has it.</param>
    /// <param name="breakpoints">The same.</param>
    /// <param name="cannotRun">Why it has none.</param>
    /// <param name="reset">Starts the guest again and says what became of it; null where that is not possible.</param>
    /// <param name="closed">Called once when the debugger is gone.</param>
    public MachineTarget(
        IMachineAccess access, DebugOptions options, bool writable, IRunControl? run, IBreakpoints? breakpoints, string cannotRun,
        Func<string>? reset, Action closed)
    {
        this.access = access;
        this.options = options;
        this.writable = writable;
        this.cannotRun = cannotRun;
        this.closed = closed;
        RunControl = run;
        Breakpoints = breakpoints;
        commands = new MonitorTable(options, reset);
    }

    public TargetDescription Description => X86Description.Instance;

    public IReadOnlyList<TargetThread> Threads
    {
        get
        {
            using Visit visit = new(access);
            IReadOnlyList<VcpuState> all = Vcpus(visit.View);
            var threads = new TargetThread[all.Count];
            for (int i = 0; i < threads.Length; i++)
            {
                string name = string.Create(CultureInfo.InvariantCulture, $"vCPU {i}");
                threads[i] = new TargetThread(i + 1, name, MonitorText.Mode(all[i]), i);
            }

            return threads;
        }
    }

    public StopReport CurrentStop
    {
        get
        {
            using Visit visit = new(access);
            return StopReports.Standing(access.Cause, visit.View.CurrentVcpu);
        }
    }

    public ITargetWriter? Writer => writable ? this : null;

    public IRunControl? RunControl { get; }

    public IBreakpoints? Breakpoints { get; }

    public IMonitor? Monitor => this;

    public TargetError Unsupported(TargetAbility ability) =>
        new(TargetError.NotPermitted, ability == TargetAbility.Run ? cannotRun : options.CannotWrite);

    public bool TryReadRegister(int thread, int register, Span<byte> value)
    {
        using Visit visit = new(access);
        return X86Registers.TryRead(Vcpus(visit.View)[thread - 1], register, value);
    }

    public int ReadMemory(int thread, ulong address, Span<byte> destination)
    {
        using Visit visit = new(access);
        return VirtualMemory.Read(visit.View, Vcpus(visit.View)[thread - 1], address, destination);
    }

    public int WriteMemory(int thread, ulong address, ReadOnlySpan<byte> source)
    {
        using Visit visit = new(access);
        int written = VirtualMemory.Write((IMutableMachineView)visit.View, Vcpus(visit.View)[thread - 1], address, source);
        access.Changed();
        return written;
    }

    public TargetError? WriteRegisters(int thread, IReadOnlyList<RegisterValue> values)
    {
        using Visit visit = new(access);
        VcpuState before = Vcpus(visit.View)[thread - 1];
        VcpuState state = X86Registers.Copy(before);
        bool changes = false;
        Span<byte> present = stackalloc byte[16];
        foreach (RegisterValue value in values)
        {
            // A client that writes all registers back to change one has not asked for the others.
            Span<byte> now = present[..value.Value.Length];
            if (X86Registers.TryRead(before, value.Register, now) && now.SequenceEqual(value.Value.Span))
            {
                continue;
            }

            if (X86Registers.TryWrite(state, value.Register, value.Value.Span) is not { } written)
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

    public string Execute(int thread, string command) => commands.Execute(new MonitorContext(access, options, thread - 1), command);

    public void Dispose() => closed();

    private IReadOnlyList<VcpuState> Vcpus(IMachineView view)
    {
        if (vcpusVersion != access.Version)
        {
            vcpus = view.Vcpus;
            vcpusVersion = access.Version;
        }

        return vcpus;
    }

    private readonly ref struct Visit(IMachineAccess access)
    {
        public IMachineView View { get; } = access.Enter();

        public void Dispose() => access.Leave();
    }
}
