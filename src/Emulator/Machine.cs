using Emulator.Boot;
using Emulator.Cpu;
using Emulator.Devices;
using Emulator.Memory;
using Emulator.Time;

namespace Emulator;

/// <summary>
/// An x86-64 PC. <see cref="Run"/> executes until there is a reason to stop and says which; nothing is ever reset behind
/// the caller's back: <see cref="Restart"/> is what lets a reset happen.
/// </summary>
public sealed partial class Machine : IMachineControl, IMachineSignals, IDisposable
{
    private const ulong ReportGrace = 1_000_000_000;

    private readonly MachineOptions options;
    private readonly VirtualClock clock = new();
    private readonly EventQueue events = new();
    private readonly IoBus bus = new();
    private readonly GuestMemory memory;
    private readonly PhysicalSpace space;
    private readonly RandomSource random;
    private readonly Vcpu[] vcpus;
    private readonly DeviceTimer reportTimer;
    private readonly HashSet<ErstRecord> recordsAtStart = [];
    private MachineExit? requested;
    private MachineExit? stopCause;
    private volatile bool pauseRequested;
    private bool skipBreakpoint;
    private readonly Lockstep? lockstep;
    private ulong executed;
    private ulong halted;

    /// <summary>Builds the machine, powered on and with nothing loaded.</summary>
    public Machine(MachineOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(options.Vcpus, 1, "Vcpus");
        this.options = options;
        memory = new GuestMemory(options.Memory);
        space = new PhysicalSpace(memory, bus);
        random = new RandomSource(options.Seed);
        vcpus = new Vcpu[options.Vcpus];
        for (int i = 0; i < vcpus.Length; i++)
        {
            vcpus[i] = new Vcpu(i, space, clock, this, random, options.Engine) { CpuCount = options.Vcpus };
            vcpus[i].Translator?.CodeEmitted = options.CodeEmitted;
        }

        memory.HostAddressesRevoked = reads => Array.ForEach(vcpus, vcpu => vcpu.HostAddressesRevoked(reads));
        memory.PageMoved = (page, _) => Array.ForEach(vcpus, vcpu => vcpu.PageMoved(page));
        events.Shortened = () => Array.ForEach(vcpus, vcpu => vcpu.Leave());
        reportTimer = events.CreateTimer("crash report", ReportDue);
        Chipset = new Chipset(
            new ChipsetOptions
            {
                MemoryBytes = options.Memory,
                ErstStore = options.ErstStore,
                StartTime = options.StartTime,
                Com1Output = options.Com1Output,
                Com2Output = options.Com2Output,
                DebugOutput = options.DebugOutput,
                ExitPort = options.ExitPort,
                PhysicalAddressBits = Paging.PhysicalBits,
            },
            bus, clock, events, this, vcpus);
        for (int i = 0; i < vcpus.Length; i++)
        {
            vcpus[i].Apic = Chipset.LocalApics[i];
            vcpus[i].KeepJournal(Journal);
        }

        PowerOn();

        // A freeze rehearsed, so that at the first trap nothing is left to be compiled while the guest stands still.
        memory.Freeze().Dispose();
        Save();
        if (options.Engine == Engine.Both)
        {
            lockstep = new Lockstep(this);
        }
    }

    /// <summary>The devices.</summary>
    public Chipset Chipset { get; }

    /// <summary>Where everything from outside comes in.</summary>
    public InputLog Input { get; } = new();

    /// <summary>RAM, to be frozen.</summary>
    public GuestMemory Memory => memory;

    /// <inheritdoc/>
    public ExceptionJournal Journal { get; } = new();

    /// <inheritdoc/>
    public MachineState? WholeState => Save();

    /// <inheritdoc/>
    public IReadOnlyList<PhysicalRange> Ram => space.Ram;

    /// <inheritdoc/>
    public IReadOnlyList<VcpuState> Vcpus => Array.ConvertAll(vcpus, vcpu => vcpu.Save());

    /// <inheritdoc/>
    public int VcpuCount => vcpus.Length;

    /// <inheritdoc/>
    public int CurrentVcpu => stopCause?.Vcpu ?? 0;

    /// <inheritdoc/>
    public ulong InstructionCount => clock.Now;

    /// <inheritdoc/>
    public MachineExit? StopCause => stopCause;

    /// <summary>Error records written since the guest was started, in the store's order.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>> NewErrorRecords =>
        [.. NewRecords.Select(record => (ReadOnlyMemory<byte>)record.Contents)];

    /// <summary>Events the guest reported on the pvpanic port since it was started.</summary>
    public byte PvPanicEvents { get; private set; }

    /// <summary>When the first crash report of this start was written.</summary>
    public ulong? ReportInstant { get; private set; }

    /// <summary>What was done since the machine was built, by name and in the order it is told; restarts do not clear it.</summary>
    public IReadOnlyList<(string Name, long Value)> Statistics =>
    [
        ("instructions executed", (long)executed),
        ("nanoseconds halted", (long)halted),
        ("bytes of guest memory allocated", memory.AllocatedPages * GuestMemory.PageSize),
        ("blocks decoded", vcpus.Sum(vcpu => vcpu.Blocks.Decoded)),
        .. vcpus.SelectMany(vcpu => vcpu.TranslationStatistics),
    ];

    /// <summary>
    /// Makes a machine that goes on where <paramref name="view"/> stands: the same RAM, copied, and the same state, with a TLB that is empty. Of
    /// <paramref name="options"/> what the state fixes (memory, vCPUs, seed) is taken from the view. Throws <see cref="ArgumentException"/>
    /// when the view is not a whole machine, or not one of ours.
    /// </summary>
    public static Machine From(IMachineView view, MachineOptions options)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(options);
        MachineState state = view.WholeState
            ?? throw new ArgumentException("the image has memory and registers, but no state of the devices: it is not a whole machine", nameof(view));
        if (!RamMap.TrySize(view.Ram, out ulong size))
        {
            throw new ArgumentException("the image's RAM is not laid out as a machine's here", nameof(view));
        }

        var machine = new Machine(options with { Memory = size, Vcpus = state.Vcpus.Length, Seed = state.Seed });
        try
        {
            machine.Load(state, view);
            machine.Journal.GoOnBehind(view.Journal?.Last(ExceptionJournal.Capacity) ?? []);

            // Its crash is known: the wait for a reset that might not come is over.
            machine.reportTimer.Disarm();
            return machine;
        }
        catch
        {
            machine.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Puts a guest into the powered-on machine: ACPI tables, memory map, kernel and its files. The request's memory map
    /// and RSDP are filled in here. Throws <see cref="BootException"/>.
    /// </summary>
    public BootedGuest Boot(BootRequest request)
    {
        AcpiImage acpi = AcpiTables.Build(new AcpiOptions { ProcessorCount = vcpus.Length });
        WritePhysical(acpi.Address, acpi.Bytes);
        BootedGuest guest = BootLoader.Load(
            new BootMemory(this),
            request with { MemoryMap = E820.Build(options.Memory), RsdpAddress = acpi.RsdpAddress });
        SetVcpu(0, guest.Vcpu);
        return guest;
    }

    /// <summary>
    /// Lets a reset happen: power-on state everywhere, RAM empty, time and the error record store kept. The caller boots
    /// the guest again.
    /// </summary>
    public void Restart()
    {
        memory.Clear();
        PowerOn();
        lockstep?.Restart();
    }

    /// <summary>The whole machine but its RAM.</summary>
    public MachineState Save() => new()
    {
        Version = MachineState.CurrentVersion,
        InstructionCount = clock.Now,
        Seed = random.Seed,
        RandomDraws = random.Draws,
        Vcpus = [.. Vcpus],
        Devices = Chipset.Save(),
        Report = new ReportState(
            ReportInstant,
            reportTimer.Deadline == EventQueue.Never ? null : reportTimer.Deadline,
            PvPanicEvents,
            [.. NewRecords.Select(record => record.Id)]),
    };

    /// <summary>Takes over a saved machine and its RAM. Throws <see cref="ArgumentException"/> naming what does not fit.</summary>
    public void Load(MachineState state, MemorySnapshot ram)
    {
        CheckFits(state);
        memory.Restore(ram);
        LoadState(state);
        lockstep?.Loaded();
    }

    /// <summary>
    /// Takes over a saved machine and copies its RAM out of <paramref name="ram"/>, which may be any image with RAM where this
    /// machine has it. Throws <see cref="ArgumentException"/> naming what does not fit; what the image throws passes through, and
    /// the machine must then be loaded again.
    /// </summary>
    public void Load(MachineState state, IMachineView ram)
    {
        ArgumentNullException.ThrowIfNull(ram);
        CheckFits(state);
        if (!ram.Ram.SequenceEqual(space.Ram))
        {
            throw new ArgumentException("the image's RAM is not where this machine's is", nameof(ram));
        }

        memory.Clear();

        // Nobody has an address of a page now; to look for one at each would take longer than the copying.
        Action<ulong, nint>? moved = memory.PageMoved;
        memory.PageMoved = null;
        try
        {
            CopyRam(ram);
        }
        finally
        {
            memory.PageMoved = moved;
        }

        LoadState(state);
        lockstep?.Loaded();
    }

    private unsafe void CopyRam(IMachineView ram)
    {
        foreach (PhysicalRange range in space.Ram)
        {
            for (ulong at = range.Start; at < range.Start + range.Length; at += GuestMemory.PageSize)
            {
                if (!ram.IsUntouched(at) && space.TryRamPage(at >> 12, out ulong page)
                    && ram.ReadPhysical(at, new Span<byte>(memory.WritePage(page), GuestMemory.PageSize)) != GuestMemory.PageSize)
                {
                    throw new ArgumentException($"the image has no page at {at:x}h", nameof(ram));
                }
            }
        }
    }

    private void CheckFits(MachineState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        if (state.Version != MachineState.CurrentVersion || state.Vcpus.Length != vcpus.Length || state.Seed != random.Seed)
        {
            throw new ArgumentException($"the state is version {state.Version} with {state.Vcpus.Length} vCPUs and seed {state.Seed}: it does not fit this machine", nameof(state));
        }
    }

    private void LoadState(MachineState state)
    {
        SetTime(state.InstructionCount);
        random.Draws = state.RandomDraws;
        Chipset.Load(state.Devices);
        for (int i = 0; i < vcpus.Length; i++)
        {
            vcpus[i].Load(state.Vcpus[i]);
        }

        ReportInstant = state.Report.Instant;
        PvPanicEvents = state.Report.PvPanicEvents;
        reportTimer.Arm(state.Report.Deadline ?? EventQueue.Never);
        recordsAtStart.Clear();
        recordsAtStart.UnionWith(options.ErstStore.Records.Where(record => !state.Report.NewRecords.Contains(record.Id)));
        requested = null;
        stopCause = null;
    }

    /// <inheritdoc/>
    public MachineExit Run(ulong instructions = ulong.MaxValue) => lockstep is null ? RunAlone(instructions) : lockstep.Run(instructions);

    // Without another engine beside it.
    private MachineExit RunAlone(ulong instructions, bool passBreakpoint = true, bool idleCounts = false)
    {
        Vcpu vcpu = vcpus[0];
        ulong end = instructions > ulong.MaxValue - clock.Now ? ulong.MaxValue : clock.Now + instructions;
        skipBreakpoint = passBreakpoint;
        requested = null;
        while (true)
        {
            clock.Now = vcpu.Count;
            if (requested is { } exit)
            {
                return Stop(exit);
            }

            if (clock.Now >= end)
            {
                return Stop(new MachineExit(MachineExitKind.Stepped, 0, clock.Now));
            }

            if (pauseRequested)
            {
                pauseRequested = false;
                return Stop(new MachineExit(MachineExitKind.Paused, 0, clock.Now));
            }

            events.RunDue(clock.Now);
            TakeInput();
            if (requested is not null)
            {
                continue;
            }

            ulong until = Math.Min(Math.Min(end, clock.Now + options.Slice), Math.Min(events.NextDeadline, Input.NextScheduled));
            ulong before = vcpu.Count;
            VcpuExit why = vcpu.Run(until, skipBreakpoint);
            clock.Now = vcpu.Count;
            executed += vcpu.Count - before;
            // Only what stands at the very first instruction is passed over.
            skipBreakpoint &= vcpu.Count == before;
            switch (why)
            {
                case VcpuExit.Halted when requested is null:
                    if (!vcpu.CanWake && !vcpu.InterruptsEnabled && !vcpu.WaitsForStartUp)
                    {
                        return Stop(new MachineExit(MachineExitKind.Halted, 0, clock.Now));
                    }

                    ulong passed = PassIdleTime(vcpu);
                    end = idleCounts ? end : end > ulong.MaxValue - passed ? ulong.MaxValue : end + passed;
                    break;
                case VcpuExit.Breakpoint:
                    return Stop(new MachineExit(MachineExitKind.Breakpoint, 0, clock.Now));
                case VcpuExit.Watchpoint:
                    (Watchpoint watch, ulong address) = vcpu.WatchHit;
                    vcpu.ClearWatchHit();
                    return Stop(new MachineExit(MachineExitKind.Watchpoint, 0, clock.Now, WatchAddress: address, Watch: watch.Kind));
                case VcpuExit.Budget when vcpu.OneBlock && vcpu.Count != before:
                    return Stop(new MachineExit(MachineExitKind.Stepped, 0, clock.Now));
            }
        }
    }

    /// <inheritdoc/>
    public void RequestPause() => pauseRequested = true;

    /// <inheritdoc/>
    public void SetBreakpoints(IReadOnlyCollection<ulong> addresses) => Array.ForEach(vcpus, vcpu => vcpu.SetBreakpoints(addresses));

    /// <inheritdoc/>
    public void SetWatchpoints(IReadOnlyCollection<Watchpoint> watchpoints) => Array.ForEach(vcpus, vcpu => vcpu.SetWatchpoints(watchpoints));

    /// <inheritdoc/>
    public int ReadPhysical(ulong address, Span<byte> destination) => space.Read(address, destination);

    /// <inheritdoc/>
    public void Glance(int vcpu, out VcpuGlance glance) => vcpus[vcpu].Glance(out glance);

    /// <inheritdoc/>
    public bool IsUntouched(ulong address) => space.TryRamPage(address >> 12, out ulong page) && memory.IsUntouched(page);

    /// <inheritdoc/>
    public int WritePhysical(ulong address, ReadOnlySpan<byte> source)
    {
        int written = space.Write(address, source);
        for (int done = 0; done < written;)
        {
            ulong at = address + (ulong)done;
            int chunk = Math.Min(written - done, GuestMemory.PageSize - (int)(at & 0xFFF));
            Array.ForEach(vcpus, vcpu => vcpu.NoteCodeWrite(at, chunk));
            done += chunk;
        }

        lockstep?.Wrote(address, source[..written]);
        return written;
    }

    /// <inheritdoc/>
    public void SetVcpu(int index, VcpuState state)
    {
        vcpus[index].Load(state);
        lockstep?.SetVcpu(index, state);
    }

    void IMachineSignals.RequestReset(ResetCause cause) => Request(new MachineExit(MachineExitKind.Reset, 0, clock.Now, Reset: cause));

    void IMachineSignals.RequestPowerOff() => Request(new MachineExit(MachineExitKind.PowerOff, 0, clock.Now));

    void IMachineSignals.RequestExit(int code) => Request(new MachineExit(MachineExitKind.ExitPort, 0, clock.Now, ExitCode: code));

    void IMachineSignals.PvPanic(byte events)
    {
        PvPanicEvents |= events;
        if ((events & 1) != 0)
        {
            ReportWritten();
        }
    }

    void IMachineSignals.ErstRecordWritten() => ReportWritten();

    /// <inheritdoc/>
    public void Dispose()
    {
        lockstep?.Dispose();
        Array.ForEach(vcpus, vcpu => vcpu.Dispose());
        memory.Dispose();
    }

    private IEnumerable<ErstRecord> NewRecords => options.ErstStore.Records.Where(record => !recordsAtStart.Contains(record));

    private void PowerOn()
    {
        Chipset.Reset();
        foreach (Vcpu vcpu in vcpus)
        {
            vcpu.PowerOn();
            vcpu.Msrs.SetTscOffset(0 - clock.Now);
        }

        reportTimer.Disarm();
        PvPanicEvents = 0;
        ReportInstant = null;
        recordsAtStart.Clear();
        recordsAtStart.UnionWith(options.ErstStore.Records);
        requested = null;
        stopCause = null;
    }

    private void ReportWritten()
    {
        ReportInstant ??= clock.Now;
        reportTimer.Arm(clock.Now + ReportGrace);
    }

    private void ReportDue() => Request(new MachineExit(MachineExitKind.ReportWithoutReset, 0, clock.Now));

    private void Request(MachineExit exit)
    {
        requested ??= exit;
        Array.ForEach(vcpus, vcpu => vcpu.Leave());
    }

    private MachineExit Stop(MachineExit exit)
    {
        requested = null;
        exit = exit with { InstructionCount = clock.Now };
        stopCause = exit;
        return exit;
    }

    private void TakeInput()
    {
        while (Input.TryTake(clock.Now, out InputEvent input))
        {
            switch (input.Kind)
            {
                case InputKind.Console:
                    Chipset.Com1.Receive(input.Bytes);
                    break;
                case InputKind.Break:
                    Chipset.Com1.ReceiveBreak();
                    break;
                case InputKind.Nmi:
                    Chipset.InjectNmi();
                    break;
                case InputKind.PowerButton:
                    Chipset.PowerManagement.PressPowerButton();
                    break;
            }
        }
    }

    private ulong PassIdleTime(Vcpu vcpu)
    {
        ulong next = Math.Min(events.NextDeadline, Input.NextScheduled);
        ulong wait = next == EventQueue.Never ? options.Slice : next - Math.Min(next, clock.Now);
        ulong passed = options.Idle is { } idle && wait != 0 ? Math.Clamp(idle(wait), 1, wait) : wait;
        SetTime(clock.Now + passed);
        halted += passed;
        lockstep?.Passed(passed);
        return passed;
    }

    private void SetTime(ulong now)
    {
        clock.Now = now;
        Array.ForEach(vcpus, vcpu => vcpu.Count = now);
    }

    private sealed class BootMemory(Machine machine) : IBootMemory
    {
        public void Write(ulong address, ReadOnlySpan<byte> bytes)
        {
            if (machine.WritePhysical(address, bytes) != bytes.Length)
            {
                throw new ArgumentException($"{bytes.Length} bytes at {address:x}h do not lie in RAM", nameof(address));
            }
        }

        public void Clear(ulong address, ulong length)
        {
            Span<byte> zeros = stackalloc byte[GuestMemory.PageSize];
            zeros.Clear();
            for (ulong at = address; at < address + length;)
            {
                ulong chunk = Math.Min(address + length - at, GuestMemory.PageSize - (at & 0xFFF));
                if (!machine.IsUntouched(at))
                {
                    Write(at, zeros[..(int)chunk]);
                }

                at += chunk;
            }
        }
    }
}
