using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Emulator.Memory;
using Emulator.Translation;

namespace Emulator.Cpu;

// Into translated code and out of it: what is left to do where it was left.
internal sealed unsafe partial class Vcpu
{
    // Code is entered only while a whole block is left behind its budget: where the count runs out inside a block, flags
    // that the block would have overwritten are not there, so the interpreter runs it from its first instruction.
    private const ulong Margin = Decoder.MaxBlockOps;

    private readonly CodeCache? cache;
    private bool canTranslate;
    private Site* pendingLink;
    private ulong pendingJump;
    private bool jumpIsPending;
    private ulong runUntil;
    private ExceptionDispatchInfo? failure;

    internal Translator? Translator { get; }

    /// <summary>Makes <see cref="Run"/> come back after each block: for whoever compares engines.</summary>
    internal bool OneBlock { get; set; }

    /// <summary>What the translator did, for a person who asks where the time goes.</summary>
    internal TranslationCounters Counters { get; } = new();

    /// <summary>What the translator did, by name; nothing where the interpreter does all.</summary>
    internal IEnumerable<(string Name, long Value)> TranslationStatistics => cache is null || Translator is null ? [] :
    [
        ("blocks translated", Translator.Translated),
        ("bytes of code emitted", cache.BytesEmitted),
        ("times the code cache was emptied", cache.Cleared),
        ("TLB misses of translated code", Counters.Misses),
        ("instructions left to the interpreter", Counters.Interpreted),
        ("searches for a block of another page", Counters.Searches),
        ("exits as the instruction count ran out", Counters.Exits[(int)SiteKind.Budget]),
        ("exits to look after XMM registers", Counters.Exits[(int)SiteKind.Vectors]),
        ("exits to find a block of the same page", Counters.Exits[(int)SiteKind.Link]),
        ("exits to find a block of another page", Counters.Exits[(int)SiteKind.Jump]),
        .. Counters.Operations.Take(30).Select(operation => ($"left to the interpreter: {operation.Code}", operation.Times)),
    ];

    /// <summary>True while one more block certainly fits into what holds translated code.</summary>
    internal void MakeRoom()
    {
        if (cache is { HasRoom: false })
        {
            blocks.Clear();
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool CanEnter(ulong left) => canTranslate && left > Margin + Decoder.MaxBlockOps;

    private void RunTranslated(Block* block)
    {
        CpuState* s = State;
        s->VectorsReady = VectorsReady ? (byte)1 : (byte)0;
        GiveBudget(OneBlock ? block->Count : long.MaxValue);
        Site* site = cache!.Trampolines.Enter(block->Code, s->Budget);
        if (site == null)
        {
            failure?.Throw();
            return;
        }

        Block* left = site->Block;
        s->InstructionCount = s->CountBase - (ulong)s->Budget;
        NoteFetchedFrom(left);
        Counters.Exits[(int)site->Kind]++;
        switch (site->Kind)
        {
            case SiteKind.Vectors:
                s->InstructionCount -= (ulong)left->Count;
                s->Rip = left->Rip;
                Execute(OpsOf(left), left->Count);
                break;
            case SiteKind.Budget when OneBlock:
                s->Rip = left->Rip;
                break;
            case SiteKind.Budget:
                s->Rip = left->Rip;
                Execute(OpsOf(left), left->Count);
                break;
            case SiteKind.Link:
                s->Rip = site->Target;
                pendingLink = site;
                break;
            default:
                pendingJump = s->Rip;
                jumpIsPending = true;
                break;
        }
    }

    private void GiveBudget(long most = long.MaxValue)
    {
        CpuState* s = State;
        ulong budget = Math.Min(runUntil - s->InstructionCount - Margin, (ulong)most);
        s->Budget = (long)budget;
        s->CountBase = s->InstructionCount + budget;
    }

    // Code jumps from page to page unseen; the page it is in now counts as the one fetched from last.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void NoteFetchedFrom(Block* block)
    {
        if (fetchValid)
        {
            fetchLinear = block->Rip & ~0xFFFUL;
            fetchPhysical = block->PhysicalPage;
        }
    }

    /// <summary>
    /// Called by translated code for an operation it does not do itself, all state saved. The address where code goes on, all
    /// state loaded again; 0 if <see cref="Run"/> must look at what happened.
    /// </summary>
    [UnmanagedCallersOnly]
    internal static nint RunOperation(Site* site, CpuState* s)
    {
        Vcpu cpu = Of(s);
        try
        {
            return cpu.RunOperation(site);
        }
        catch (Exception exception)
        {
            // Nothing may be thrown through the frames of emitted code: it goes on behind them.
            cpu.failure = ExceptionDispatchInfo.Capture(exception);
            return 0;
        }
    }

    private nint RunOperation(Site* site)
    {
        CpuState* s = State;
        Block* block = site->Block;
        Op* ops = OpsOf(block);
        Op* op = ops + site->Index;
        s->InstructionCount = s->CountBase - (ulong)s->Budget - (ulong)block->Count;
        s->Rip = op->Rip;
        s->BlockStart = ops;
        s->BlockEnd = op + 1;
        NoteFetchedFrom(block);
        Counters.NoteOperation(op->Code);
        Step step = op->Run(s, op);
        bool vectorsReady = VectorsReady;
        if (step == Step.Next && s->BlockEnd != null && site->Resume != 0 && site->Size == 0 && (vectorsReady || s->VectorsReady == 0))
        {
            s->BlockStart = null;
            s->VectorsKept = 1;
            return (nint)site->Resume;
        }

        s->VectorsReady = vectorsReady ? (byte)1 : (byte)0;
        s->VectorsKept = 0;
        Retire(ops, op, step);
        return NextCode();
    }

    // The code at RIP if execution can go on there at once: what Run looks at before it, looked at once more.
    private nint NextCode()
    {
        CpuState* s = State;
        if (s->Attention != 0 || watchHit || s->Halted != 0 || s->InterruptShadow != 0 || (s->Rflags & (Flags.Tf | Flags.Rf)) != 0
            || debugExecution || s->InstructionCount >= runUntil || OneBlock)
        {
            return 0;
        }

        if (!currentModeValid)
        {
            currentMode = CodeMode;
            currentModeValid = true;
        }

        if ((currentMode & CodeMode.Bits64) == 0 || !CanEnter(runUntil - s->InstructionCount))
        {
            return 0;
        }

        AccessMode mode = Translator.ModeOf(currentMode);
        JumpEntry* entry = cache!.Jumps.EntryOf(mode, s->Rip);
        nint code = entry->Rip == s->Rip ? (nint)entry->Code : FindCode(s->Rip, mode);
        if (code != 0)
        {
            fetchLinear = s->Rip & ~0xFFFUL;
            fetchPhysical = entry->Page;
            fetchValid = true;
            GiveBudget();
        }

        return code;
    }

    /// <summary>Called by translated code for the code at an address; 0 if it must be looked for, or made, at leisure.</summary>
    [UnmanagedCallersOnly]
    internal static nint FindCode(ulong rip, Site* site, CpuState* s)
    {
        Vcpu cpu = Of(s);
        return cpu.FindCode(rip, Translator.ModeOf(cpu.currentMode));
    }

    // The code of an address whose page's fetch translation is in the TLB. Its entry in the jump cache is then open.
    private nint FindCode(ulong rip, AccessMode mode)
    {
        Counters.Searches++;
        int slot = Tlb.FetchIndexOf(rip);
        if (slot < 0)
        {
            return 0;
        }

        ulong leaf = Tlb.FetchLeaf(slot);
        if (!Paging.Allows(State, leaf, AccessKind.Fetch, State->Cpl == 3 ? AccessMode.User : AccessMode.Supervisor))
        {
            return 0;
        }

        nint code = cache!.Jumps.TryReopen(mode, rip, leaf >> 12, slot);
        if (code != 0)
        {
            return code;
        }

        Block* block = blocks.Find(rip, leaf >> 12, currentMode, csBase: 0);
        if (block == null || block->Breakpoint != 0 || block->Code == 0)
        {
            return 0;
        }

        cache.Jumps.Open(mode, rip, block->Code, block->PhysicalPage, slot);
        return block->Code;
    }

    // The next block is found: whoever wanted to go there finds it alone from now on.
    private void Connect(Block* block)
    {
        Site* link = pendingLink;
        pendingLink = null;
        bool jump = jumpIsPending;
        jumpIsPending = false;
        if (block->Code == 0 || block->Breakpoint != 0)
        {
            return;
        }

        if (link != null)
        {
            Block* from = link->Block;
            if (from->Valid != 0 && from->Mode == block->Mode && from->PhysicalPage == block->PhysicalPage && link->Target == block->Rip)
            {
                Translator.Link(link, block);
            }
        }
        else if (jump && pendingJump == block->Rip && Tlb.FetchIndexOf(block->Rip) is var slot and >= 0)
        {
            cache!.Jumps.Open(Translator.ModeOf(block->Mode), block->Rip, block->Code, block->PhysicalPage, slot);
        }
    }

    private void BlocksCleared()
    {
        cache?.Clear();
        pendingLink = null;
        jumpIsPending = false;
    }

    private bool VectorsReady =>
        (State->Cr0 & (ControlRegisters.Em | ControlRegisters.Ts)) == 0 && (State->Cr4 & ControlRegisters.OsFxsr) != 0
        && (State->Mxcsr & 0x1F80) == 0x1F80;

    /// <summary>
    /// Called by translated code whose access missed: the host's address of it, or 0 if the interpreter must run the
    /// instruction (a fault, a device, a page boundary, watched bytes, bytes that are code).
    /// </summary>
    [UnmanagedCallersOnly]
    internal static nint TranslateForCode(ulong linear, Site* site, CpuState* s)
    {
        Vcpu cpu = Of(s);
        cpu.Counters.Misses++;
        int size = site->Size, offset = (int)(linear & 0xFFF);
        if (!IsCanonical(linear) || offset > GuestMemory.PageSize - size)
        {
            return 0;
        }

        try
        {
            // Becomes null when code was changed meanwhile: by a walk that marked a page table entry.
            s->BlockEnd = s->BlockStart + 1;
            AccessKind kind = site->Writes != 0 ? AccessKind.Write : AccessKind.Read;
            if (!cpu.TryTranslate(linear, kind, cpu.DataMode, out ulong physical) || s->BlockEnd == null)
            {
                return 0;
            }

            return cpu.HostAddress(linear, physical, size, site->Writes != 0);
        }
        catch (Exception)
        {
            // Nothing may be thrown through the frames of emitted code: the interpreter will meet it again.
            return 0;
        }
    }

    private nint HostAddress(ulong linear, ulong physical, int size, bool write)
    {
        int offset = (int)(linear & 0xFFF);
        if (!space.TryRamPage(physical >> 12, out ulong page)
            || (watchedPages.Count != 0 && TouchesWatched(linear, size))
            || (write && blocks.Overlaps(physical >> 12, offset, size)))
        {
            return 0;
        }

        return (nint)(write ? space.WritableRamPage(page) : space.Memory.ReadPage(page)) + offset;
    }

    private bool TouchesWatched(ulong linear, int size)
    {
        ulong last = linear + (ulong)size - 1;
        foreach (Watchpoint watch in watchpoints)
        {
            if (linear <= watch.Address + watch.Length - 1 && last >= watch.Address)
            {
                return true;
            }
        }

        for (int i = 0; debugData && i < 4; i++)
        {
            if (TryDataBreakpoint(i, out ulong address, out ulong length, out _) && linear <= address + length - 1 && last >= address)
            {
                return true;
            }
        }

        return false;
    }
}
