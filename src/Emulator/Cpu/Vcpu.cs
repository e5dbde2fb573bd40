using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Emulator.Devices;
using Emulator.Memory;
using Emulator.Time;
using Emulator.Translation;

namespace Emulator.Cpu;

/// <summary>Why <see cref="Vcpu.Run"/> came back.</summary>
internal enum VcpuExit
{
    /// <summary>The instant asked for is reached, or something wants the machine's attention.</summary>
    Budget,

    /// <summary>Halted until an interrupt.</summary>
    Halted,

    /// <summary>A debugger's breakpoint is on the next instruction.</summary>
    Breakpoint,

    /// <summary>The last instruction touched a debugger's watched memory.</summary>
    Watchpoint,
}

/// <summary>
/// One virtual CPU: the interpreter's loop. It looks blocks up, runs their operations by function pointer, delivers
/// exceptions and interrupts at instruction boundaries, and keeps the exact count of what has retired.
/// </summary>
internal sealed unsafe partial class Vcpu : IVcpuSignals, IDisposable
{
    private const int InterruptMaybe = 1, NmiPending = 2, LeaveRun = 4, StartUpPending = 8, InitPending = 16;

    private readonly GCHandle self;
    private readonly PhysicalSpace space;
    private readonly VirtualClock clock;
    private readonly IMachineSignals signals;
    private readonly BlockCache blocks;
    private readonly Decoder decoder;
    private bool nmiBlocked;
    private ulong fetchLinear;
    private ulong fetchPhysical;
    private bool fetchValid;

    internal Vcpu(
        int index, PhysicalSpace space, VirtualClock clock, IMachineSignals signals, RandomSource random, Engine engine = Engine.Interpreter)
    {
        Index = index;
        this.space = space;
        PhysicalRange last = space.Ram[^1];
        blocks = new BlockCache((last.Start + last.Length) / GuestMemory.PageSize);
        this.clock = clock;
        this.signals = signals;
        Random = random;
        self = GCHandle.Alloc(this);
        cache = engine == Engine.Interpreter ? null : CodeCache.TryCreate();
        State = cache is null ? (CpuState*)NativeMemory.AlignedAlloc(CpuState.StateSize, 64) : cache.State;
        NativeMemory.Clear(State, CpuState.StateSize);
        State->Owner = GCHandle.ToIntPtr(self);
        Msrs = new Msrs(this);
        decoder = new Decoder(this);
        Tlb = new SoftTlb(cache is null ? null : cache.Tlb);
        inFast = (byte*)NativeMemory.AllocZeroed((nuint)(space.Memory.Size / GuestMemory.PageSize));
        if (cache is not null)
        {
            Translator = new Translator(cache, Tlb);
            Tlb.FetchDropped = cache.Jumps.Close;
            blocks.Dropped = block => cache.Forget((Block*)block);
        }

        blocks.Cleared = BlocksCleared;
        ModeChanged();
    }

    internal int Index { get; }

    internal CpuState* State { get; }

    private ref int Attention => ref State->Attention;

    internal SoftTlb Tlb { get; }

    internal RandomSource Random { get; }

    /// <summary>The interrupt controller in front of this CPU; set once by the machine.</summary>
    internal LocalApic Apic { get; set; } = null!;

    internal PhysicalSpace Space => space;

    internal BlockCache Blocks => blocks;

    internal IMachineSignals Signals => signals;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vcpu Of(CpuState* s) => Unsafe.As<Vcpu>(GCHandle.FromIntPtr(s->Owner).Target!);

    /// <summary>The exact count while an operation runs: what retired before it.</summary>
    internal ulong CountAt(Op* op) =>
        State->BlockStart != null && op >= State->BlockStart && op < State->BlockStart + Decoder.MaxBlockOps
            ? State->InstructionCount + (ulong)(op - State->BlockStart)
            : State->InstructionCount;

    /// <summary>Publishes the exact time before a device or the time-stamp counter is reached.</summary>
    internal ulong PublishTime(Op* op) => clock.Now = CountAt(op);

    /// <summary>Leaves the block after the operation that is running.</summary>
    internal void LeaveBlock() => State->BlockEnd = null;

    /// <summary>Makes <see cref="Run"/> return at the next instruction boundary.</summary>
    internal void Leave()
    {
        Attention |= LeaveRun;
        State->BlockEnd = null;
    }

    /// <summary>Runs until the count reaches <paramref name="until"/> or there is a reason to come back.</summary>
    internal VcpuExit Run(ulong until, bool skipBreakpoint)
    {
        CpuState* s = State;
        runUntil = until;
        while (true)
        {
            if (Attention != 0 && TakeAttention())
            {
                return VcpuExit.Budget;
            }

            if (watchHit)
            {
                return VcpuExit.Watchpoint;
            }

            if (s->InstructionCount >= until)
            {
                return VcpuExit.Budget;
            }

            if (s->Halted != 0)
            {
                return VcpuExit.Halted;
            }

            // 64-bit code inside the page execution is in already, which is most of it, needs one look.
            Block* block = null;
            if (fetchValid && currentModeValid && (currentMode & CodeMode.Bits64) != 0 && (s->Rip & ~0xFFFUL) == fetchLinear)
            {
                block = blocks.Find(s->Rip, fetchPhysical, currentMode, csBase: 0);
            }

            if ((block == null || block->Other != null) && !TryFetch(out block))
            {
                Deliver(s->FaultVector, s->FaultError, EventKind.Fault);
                continue;
            }

            if (pendingLink != null || jumpIsPending)
            {
                Connect(block);
            }

            if (block->Breakpoint != 0 && !skipBreakpoint)
            {
                return VcpuExit.Breakpoint;
            }

            skipBreakpoint = false;
            bool single = s->InterruptShadow != 0 || (s->Rflags & (Flags.Tf | Flags.Rf)) != 0 || debugExecution;
            if (single)
            {
                RunSingle(block);
            }
            else
            {
                ulong budget = until - s->InstructionCount;
                if (block->Code != 0 && CanEnter(budget))
                {
                    RunTranslated(block);
                }
                else
                {
                    Execute(OpsOf(block), budget < (ulong)block->Count ? (int)budget : block->Count);
                }
            }

            if (OneBlock)
            {
                return VcpuExit.Budget;
            }
        }
    }

    private Op* OpsOf(Block* block) => block->Ops != null ? block->Ops : decoder.Redecode(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Execute(Op* first, int count)
    {
        CpuState* s = State;
        Op* op = first;
        s->BlockStart = first;
        s->BlockEnd = first + count;
        Step step;
        do
        {
            step = op->Run(s, op);
            op++;
        }
        while (step == Step.Next && op < s->BlockEnd);
        Retire(first, op - 1, step);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Retire(Op* first, Op* last, Step step)
    {
        CpuState* s = State;
        s->BlockStart = null;
        ulong before = (ulong)(last - first);
        switch (step)
        {
            case Step.Next:
                s->InstructionCount += before + 1;
                s->Rip = (last->Flags & OpFlags.EndsBlock) != 0 || IsLong ? last->NextRip : (uint)last->NextRip;
                break;
            case Step.Branch:
                s->InstructionCount += before + 1;
                break;
            case Step.Repeat:
                s->InstructionCount += before + 1;
                s->Rip = last->Rip;
                break;
            default:
                s->InstructionCount += before;
                s->Rip = last->Rip;
                Deliver(s->FaultVector, s->FaultError, EventKind.Fault);
                break;
        }
    }

    private void RunSingle(Block* block)
    {
        CpuState* s = State;
        byte shadow = s->InterruptShadow;
        if (debugExecution && shadow != 2 && (s->Rflags & Flags.Rf) == 0 && TakeInstructionBreakpoint())
        {
            return;
        }

        bool trap = (s->Rflags & Flags.Tf) != 0;
        s->InterruptShadow = 0;
        s->Rflags &= ~Flags.Rf;
        ulong deliveredBefore = delivered;
        Execute(OpsOf(block), 1);
        if (trap && delivered == deliveredBefore)
        {
            pendingDebug |= DebugStep;
        }

        TakePendingDebug();
    }

    private bool TakeAttention()
    {
        CpuState* s = State;
        if ((Attention & LeaveRun) != 0)
        {
            Attention &= ~LeaveRun;
            return true;
        }

        if (pendingDebug != 0)
        {
            TakePendingDebug();
        }

        if ((Attention & (InitPending | StartUpPending)) != 0)
        {
            TakeInitOrStartUp();
        }

        if ((Attention & NmiPending) != 0 && !nmiBlocked && s->InterruptShadow == 0)
        {
            Attention &= ~NmiPending;
            nmiBlocked = true;
            s->Halted = 0;
            Deliver(Fault.Nmi, 0, EventKind.External);
        }
        else if ((Attention & InterruptMaybe) != 0 && s->InterruptShadow == 0)
        {
            if (!Apic.HasInterrupt)
            {
                Attention &= ~InterruptMaybe;
            }
            else if ((s->Rflags & Flags.If) != 0)
            {
                clock.Now = s->InstructionCount;
                s->Halted = 0;
                int vector = Apic.Acknowledge();
                Deliver((byte)vector, 0, EventKind.External);
            }
        }

        return false;
    }

    void IVcpuSignals.InterruptChanged()
    {
        Attention |= InterruptMaybe;
        State->BlockEnd = null;
    }

    void IVcpuSignals.Nmi() => InjectNmi();

    void IVcpuSignals.Init()
    {
        Attention |= InitPending;
        State->BlockEnd = null;
    }

    void IVcpuSignals.StartUp(byte vector)
    {
        startUpVector = vector;
        Attention |= StartUpPending;
        State->BlockEnd = null;
    }

    internal void InjectNmi()
    {
        Attention |= NmiPending;
        State->BlockEnd = null;
    }

    /// <summary>True when only an interrupt or NMI that can come could wake a halted CPU: nothing is deliverable now.</summary>
    internal bool CanWake => (Attention & NmiPending) != 0 || ((State->Rflags & Flags.If) != 0 && Apic.HasInterrupt);

    /// <summary>IF is set: an interrupt could end HLT.</summary>
    internal bool InterruptsEnabled => (State->Rflags & Flags.If) != 0;

    /// <summary>Something changed what decides how memory may be accessed: privilege, SMAP, AC, alignment checks.</summary>
    internal void ModeChanged()
    {
        CpuState* s = State;
        currentModeValid = false;

        // Translated code has the mode built in.
        LeaveBlock();
        canTranslate = s->Cpl is 0 or 3;
        if (s->Cpl == 3 && (s->Rflags & Flags.Ac) != 0 && (s->Cr0 & ControlRegisters.Am) != 0)
        {
            canTranslate = false;
            s->ReadTlb = Tlb.Never;
            s->WriteTlb = Tlb.Never;
            return;
        }

        AccessMode mode = DataMode;
        s->ReadTlb = Tlb.ReadTable(mode);
        s->WriteTlb = Tlb.WriteTable(mode);
    }

    /// <summary>The rights explicit data accesses have now.</summary>
    internal AccessMode DataMode =>
        State->Cpl == 3 ? AccessMode.User
        : (State->Cr4 & ControlRegisters.Smap) == 0 || (State->Rflags & Flags.Ac) != 0 ? AccessMode.SupervisorUnchecked
        : AccessMode.Supervisor;

    internal bool IsLongModeActive => (State->Efer & ControlRegisters.EferLma) != 0;

    /// <summary>64-bit code is running.</summary>
    internal bool IsLong => IsLongModeActive && State->Seg(SegmentIndex.Cs).Long;

    internal bool IsProtected => (State->Cr0 & ControlRegisters.Pe) != 0;

    internal bool IsVirtual8086 => (State->Rflags & Flags.Vm) != 0 && IsProtected;

    /// <summary>Forgets translations and the page being fetched from.</summary>
    internal void FlushTlb(bool keepGlobal)
    {
        Tlb.Flush(keepGlobal);
        fetchValid = false;
    }

    internal void FlushPage(ulong linear)
    {
        Tlb.FlushPage(linear);
        fetchValid = false;
    }

    public void Dispose()
    {
        self.Free();
        decoder.Dispose();
        blocks.Dispose();
        Tlb.Dispose();
        NativeMemory.Free(inFast);
        if (cache is null)
        {
            NativeMemory.AlignedFree(State);
        }
        else
        {
            cache.Dispose();
        }
    }
}
