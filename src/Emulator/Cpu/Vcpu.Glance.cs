namespace Emulator.Cpu;

// A quick look at the registers, and the journal of what happened to them.
internal sealed unsafe partial class Vcpu
{
    /// <summary>Fills <paramref name="glance"/>; only while the vCPU is outside a block, but for the journal's use.</summary>
    internal void Glance(out VcpuGlance glance)
    {
        CpuState* s = State;
        glance = new VcpuGlance
        {
            Rip = s->Rip,
            Rflags = s->Rflags,
            Cr0 = s->Cr0,
            Cr2 = s->Cr2,
            Cr3 = s->Cr3,
            Cr4 = s->Cr4,
            Cr8 = (ulong)Apic.TaskPriority >> 4,
            Efer = s->Efer,
            ApicBase = Apic.ApicBase,
            CsAttributes = s->Seg(SegmentIndex.Cs).Attributes,
            Cpl = s->Cpl,
            Halted = s->Halted != 0,
        };
        new ReadOnlySpan<ulong>(s->Gpr, 16).CopyTo(glance.Gpr);
        for (int i = 0; i < 8; i++)
        {
            ref Segment segment = ref s->Seg(i);
            glance.Bases[i] = segment.Base;
            glance.Selectors[i] = segment.Selector;
        }
    }

    /// <summary>Protection or paging was turned on or off, or long mode chosen.</summary>
    internal Action? ModeSwitched { get; set; }

    /// <summary>From now on events of this vCPU are noted there.</summary>
    internal void KeepJournal(ExceptionJournal journal)
    {
        Journal = (vector, error, kind) => Note(journal, kind switch
        {
            EventKind.Fault => JournalKind.Fault,
            EventKind.Trap => JournalKind.Trap,
            EventKind.Software => JournalKind.SoftwareInterrupt,
            _ => JournalKind.Interrupt,
        }, (byte)vector, error);
        ModeSwitched = () => Note(journal, JournalKind.Mode, 0, 0);
    }

    private void Note(ExceptionJournal journal, JournalKind kind, byte vector, uint error)
    {
        Glance(out VcpuGlance registers);
        journal.Record(State->InstructionCount, Index, kind, vector, error, registers);
    }
}
