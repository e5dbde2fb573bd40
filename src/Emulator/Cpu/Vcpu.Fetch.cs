namespace Emulator.Cpu;

// From RIP to a block: the fetch translation, the block cache, and decoding on a miss.
internal sealed unsafe partial class Vcpu
{
    private HashSet<ulong> breakpoints = [];

    internal CodeMode CodeMode
    {
        get
        {
            ref Segment cs = ref State->Seg(SegmentIndex.Cs);
            if (IsLongModeActive && cs.Long)
            {
                return CodeMode.Bits64 | CodeMode.Protected | DataMode switch
                {
                    AccessMode.Supervisor => CodeMode.Supervisor,
                    AccessMode.SupervisorUnchecked => CodeMode.Unchecked,
                    _ => 0,
                };
            }

            CodeMode mode = cs.Big ? CodeMode.Bits32 : CodeMode.Bits16;
            if (IsProtected && !IsVirtual8086)
            {
                mode |= CodeMode.Protected;
            }

            return DataSegmentsFlat() ? mode : mode | CodeMode.Checked;
        }
    }

    /// <summary>A breakpoint begins a block of its own: what was decoded across one that came or went is dropped.</summary>
    internal void SetBreakpoints(IReadOnlyCollection<ulong> addresses)
    {
        HashSet<ulong> changed = [.. addresses];
        changed.SymmetricExceptWith(breakpoints);
        if (changed.Count != 0)
        {
            breakpoints = [.. addresses];
            blocks.DropAround([.. changed.Order()]);
        }
    }

    private bool DataSegmentsFlat()
    {
        CpuState* s = State;
        for (int i = SegmentIndex.Es; i <= SegmentIndex.Gs; i++)
        {
            ref Segment segment = ref s->Seg(i);
            bool writableData = (segment.Attributes & 0x9A) == 0x92 && (segment.Type & 4) == 0;
            if (i != SegmentIndex.Cs && (segment.Limit != uint.MaxValue || !writableData))
            {
                return false;
            }
        }

        return true;
    }

    private CodeMode currentMode;
    private bool currentModeValid;

    /// <summary>A segment register, CR0 or EFER changed: what is decoded next may be decoded otherwise.</summary>
    internal void CodeModeChanged()
    {
        currentModeValid = false;
        fetchValid = false;
        LeaveBlock();
    }

    private bool TryFetch(out Block* block)
    {
        CpuState* s = State;
        if (!currentModeValid)
        {
            currentMode = CodeMode;
            currentModeValid = true;
        }

        ulong csBase = 0;
        ulong linear = s->Rip;
        if ((currentMode & CodeMode.Bits64) == 0)
        {
            ref Segment cs = ref s->Seg(SegmentIndex.Cs);
            csBase = cs.Base;
            linear = (uint)(s->Rip + csBase);
            if (s->Rip > cs.Limit)
            {
                Fault.Raise(s, Fault.GeneralProtection);
                block = null;
                return false;
            }
        }
        else if (!IsCanonical(linear))
        {
            Fault.Raise(s, Fault.GeneralProtection);
            block = null;
            return false;
        }

        if (!fetchValid || (linear & ~0xFFFUL) != fetchLinear)
        {
            AccessMode mode = s->Cpl == 3 ? AccessMode.User : AccessMode.Supervisor;
            if (!TryTranslate(linear, AccessKind.Fetch, mode, out ulong physical))
            {
                block = null;
                return false;
            }

            fetchLinear = linear & ~0xFFFUL;
            fetchPhysical = physical >> 12;
            fetchValid = true;
        }

        block = blocks.Find(s->Rip, fetchPhysical, currentMode, csBase);
        if (block != null && block->Other == null)
        {
            return true;
        }

        if (block != null)
        {
            // Its end is in the page that stands behind now, or the block is of another time.
            if (!TryTranslateFetch(Decoder.NextPage(linear, currentMode), out ulong nextPage))
            {
                return false;
            }

            if (nextPage == block->Other->PhysicalPage)
            {
                return true;
            }

            blocks.Drop(block);
        }

        return decoder.TryDecode(linear, fetchPhysical, currentMode, csBase, breakpoints, out block);
    }

    /// <summary>Code bytes of one physical page for the decoder; false where there is no RAM (it then reads all ones).</summary>
    internal bool TryReadCode(ulong physicalPage, int offset, Span<byte> destination)
    {
        if (!space.TryRamPage(physicalPage, out ulong page))
        {
            destination.Fill(0xFF);
            return false;
        }

        new ReadOnlySpan<byte>(space.Memory.ReadPage(page) + offset, destination.Length).CopyTo(destination);
        return true;
    }

    /// <summary>Translates the page after the one being fetched from, for an instruction that crosses into it.</summary>
    internal bool TryTranslateFetch(ulong linear, out ulong physicalPage)
    {
        AccessMode mode = State->Cpl == 3 ? AccessMode.User : AccessMode.Supervisor;
        bool translated = TryTranslate(linear, AccessKind.Fetch, mode, out ulong physical);
        physicalPage = physical >> 12;
        return translated;
    }

    /// <summary>A page just got its first decoded code: it leaves the fast write tables.</summary>
    internal void CodePageAdded(ulong physicalPage)
    {
        if (space.TryRamPage(physicalPage, out ulong page) && (inFast[page] & InWrites) != 0)
        {
            inFast[page] = 0;
            Tlb.DropFastOf(physicalPage);
        }
    }

    /// <summary>RAM pages moved to other host addresses.</summary>
    internal void HostAddressesRevoked(bool reads)
    {
        if (reads)
        {
            Tlb.DropAllFast();
            blocks.Clear();
            fetchValid = false;
        }
        else
        {
            Tlb.DropFastWrites();
        }
    }

    /// <summary>A RAM page stands at another host address from now on.</summary>
    internal void PageMoved(ulong ramPage)
    {
        if (inFast[ramPage] != 0)
        {
            inFast[ramPage] = 0;
            Tlb.DropFastOf(space.PhysicalPageOf(ramPage));
        }
    }
}
