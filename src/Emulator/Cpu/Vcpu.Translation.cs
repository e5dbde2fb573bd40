using System.Runtime.CompilerServices;
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

    internal Translator? Translator { get; }

    /// <summary>What the translator did, for a person who asks where the time goes.</summary>
    internal TranslationCounters Counters { get; } = new();

    /// <summary>What the translator did, by name; nothing where the interpreter does all.</summary>
    internal IEnumerable<(string Name, long Value)> TranslationStatistics => cache is null || Translator is null ? [] :
    [
        ("blocks translated", Translator.Translated),
        ("bytes of code emitted", cache.BytesEmitted),
        ("times the code cache was emptied", cache.Cleared),
        ("TLB misses of translated code", Counters.Misses),
        ("exits to run one instruction", Counters.Exits[(int)SiteKind.Operation]),
        ("exits as the instruction count ran out", Counters.Exits[(int)SiteKind.Budget]),
        ("exits to look after XMM registers", Counters.Exits[(int)SiteKind.Vectors]),
        ("exits to find a block of the same page", Counters.Exits[(int)SiteKind.Link]),
        ("exits to find a block of another page", Counters.Exits[(int)SiteKind.Jump]),
        .. Counters.Operations.Take(30).Select(operation => ($"exits to run one {operation.Code}", operation.Times)),
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
    private bool CanEnter(Block* block, ulong left) => block->Code != 0 && canTranslate && left > Margin + Decoder.MaxBlockOps;

    private void RunTranslated(Block* block, ulong until)
    {
        CpuState* s = State;
        s->VectorsReady = VectorsReady ? (byte)1 : (byte)0;
        long budget = (long)Math.Min(until - s->InstructionCount - Margin, long.MaxValue);
        Site* site = cache!.Trampolines.Enter(block->Code, budget);
        Block* left = site->Block;
        s->InstructionCount += (ulong)(budget - s->Budget);
        if (fetchValid)
        {
            fetchLinear = left->Rip & ~0xFFFUL;
            fetchPhysical = left->PhysicalPage;
        }

        Counters.Exits[(int)site->Kind]++;
        switch (site->Kind)
        {
            case SiteKind.Operation:
                s->InstructionCount -= (ulong)left->Counted;
                Op* op = left->Ops + site->Index;
                s->BlockStart = left->Ops;
                s->BlockEnd = op + 1;
                Counters.NoteOperation(op->Code);
                Retire(left->Ops, op, op->Run(s, op));
                break;
            case SiteKind.Vectors:
                s->InstructionCount -= (ulong)left->Counted;
                s->Rip = left->Rip;
                Execute(left->Ops, left->Count);
                break;
            case SiteKind.Budget:
                s->Rip = left->Rip;
                Execute(left->Ops, left->Count);
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
        else if (jump && pendingJump == block->Rip)
        {
            cache!.AddJump(Translator.ModeOf(block->Mode), block->Rip, block->Code);
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
