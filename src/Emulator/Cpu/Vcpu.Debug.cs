namespace Emulator.Cpu;

// Watched memory of a debugger, and the guest's own debug registers (SDM vol. 3B chapter 17).
internal sealed unsafe partial class Vcpu
{
    private const ulong DebugStep = 1UL << 14;

    private readonly HashSet<ulong> watchedPages = [];
    private Watchpoint[] watchpoints = [];
    private ulong pendingDebug;
    private bool debugExecution;
    private bool debugData;
    private bool watchHit;

    /// <summary>The watchpoint that made <see cref="Run"/> return, and the address touched.</summary>
    internal (Watchpoint Watchpoint, ulong Address) WatchHit { get; private set; }

    internal void ClearWatchHit() => watchHit = false;

    internal void SetWatchpoints(IReadOnlyCollection<Watchpoint> watched)
    {
        watchpoints = [.. watched];
        UpdateWatchedPages();
    }

    /// <summary>DR7 or an address register was written.</summary>
    internal void DebugRegistersChanged()
    {
        ulong control = State->Dr[7];
        debugExecution = false;
        debugData = false;
        for (int i = 0; i < 4; i++)
        {
            if ((control >> (i * 2) & 3) != 0)
            {
                bool execution = (control >> (16 + (i * 4)) & 3) == 0;
                debugExecution |= execution;
                debugData |= !execution;
            }
        }

        UpdateWatchedPages();
        LeaveBlock();
    }

    private bool IsWatched(ulong linear) => watchedPages.Count != 0 && watchedPages.Contains(linear >> 12);

    private void UpdateWatchedPages()
    {
        watchedPages.Clear();
        foreach (Watchpoint watch in watchpoints)
        {
            // A range wider than memory itself is the debugger's affair; the pages are enumerated only up to a limit.
            ulong last = watch.Address + Math.Max(watch.Length, 1) - 1;
            for (ulong page = watch.Address >> 12, n = 0; page <= last >> 12 && n < 65536; page++, n++)
            {
                watchedPages.Add(page);
            }
        }

        if (debugData)
        {
            for (int i = 0; i < 4; i++)
            {
                if (TryDataBreakpoint(i, out ulong address, out _, out _))
                {
                    watchedPages.Add(address >> 12);
                }
            }
        }

        Tlb.DropAllFast();
    }

    private bool TryDataBreakpoint(int index, out ulong address, out ulong length, out bool writesOnly)
    {
        ulong control = State->Dr[7];
        ulong kind = control >> (16 + (index * 4)) & 3;
        length = (control >> (18 + (index * 4)) & 3) switch { 0 => 1, 1 => 2, 2 => 8, _ => 4UL };
        address = State->Dr[index] & ~(length - 1);
        writesOnly = kind == 1;
        return (control >> (index * 2) & 3) != 0 && kind is 1 or 3;
    }

    private void NoteAccess(ulong linear, int size, bool write)
    {
        if (watchedPages.Count == 0)
        {
            return;
        }

        ulong last = linear + (ulong)size - 1;
        foreach (Watchpoint watch in watchpoints)
        {
            bool counts = watch.Kind == WatchKind.Access || (watch.Kind == WatchKind.Write) == write;
            if (counts && !watchHit && linear <= watch.Address + watch.Length - 1 && last >= watch.Address)
            {
                watchHit = true;
                WatchHit = (watch, Math.Max(linear, watch.Address));
                LeaveBlock();
            }
        }

        for (int i = 0; debugData && i < 4; i++)
        {
            if (TryDataBreakpoint(i, out ulong address, out ulong length, out bool writesOnly)
                && (write || !writesOnly) && linear <= address + length - 1 && last >= address)
            {
                pendingDebug |= 1UL << i;
                Attention |= InterruptMaybe;
                LeaveBlock();
            }
        }
    }

    private bool TakeInstructionBreakpoint()
    {
        CpuState* s = State;
        ulong linear = IsLong ? s->Rip : (uint)(s->Rip + s->Seg(SegmentIndex.Cs).Base);
        ulong hits = 0;
        for (int i = 0; i < 4; i++)
        {
            bool enabled = (s->Dr[7] >> (i * 2) & 3) != 0 && (s->Dr[7] >> (16 + (i * 4)) & 3) == 0;
            if (enabled && s->Dr[i] == linear)
            {
                hits |= 1UL << i;
            }
        }

        if (hits == 0)
        {
            return false;
        }

        s->Dr[6] = (s->Dr[6] & ~0xFUL) | hits;
        s->Rflags |= Flags.Rf;
        Deliver(Fault.Debug, 0, EventKind.Fault);
        return true;
    }

    private void TakePendingDebug()
    {
        if (pendingDebug != 0 && State->InterruptShadow != 2)
        {
            State->Dr[6] = (State->Dr[6] & ~0xFUL) | pendingDebug;
            pendingDebug = 0;
            Deliver(Fault.Debug, 0, EventKind.Trap);
        }
    }
}
