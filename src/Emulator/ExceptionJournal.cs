namespace Emulator;

/// <summary>What an entry of the <see cref="ExceptionJournal"/> is about.</summary>
public enum JournalKind
{
    /// <summary>An exception; the instruction will run again.</summary>
    Fault,

    /// <summary>An exception behind its instruction.</summary>
    Trap,

    /// <summary>INT n.</summary>
    SoftwareInterrupt,

    /// <summary>An interrupt or NMI from outside.</summary>
    Interrupt,

    /// <summary>Protection or paging was turned on or off, or long mode chosen; the registers are those afterwards.</summary>
    Mode,
}

/// <summary>An event of a vCPU.</summary>
/// <param name="Number">Counts all events of the machine, from 1.</param>
/// <param name="InstructionCount">When.</param>
/// <param name="Vcpu">Whose.</param>
/// <param name="Kind">What.</param>
/// <param name="Vector">The vector delivered.</param>
/// <param name="Error">The error code, where the vector has one.</param>
/// <param name="Registers">The registers before it was delivered.</param>
public readonly record struct JournalEntry(
    ulong Number, ulong InstructionCount, int Vcpu, JournalKind Kind, byte Vector, uint Error, VcpuGlance Registers);

/// <summary>
/// The last exceptions, interrupts and mode switches of a machine, for whoever debugs it: the guest cannot see it, and it is
/// no part of the machine's state. Recording allocates nothing. Belongs to the machine's thread, like the machine; a copy to
/// whoever made it.
/// </summary>
public sealed class ExceptionJournal
{
    /// <summary>Entries kept.</summary>
    public const int Capacity = 1024;

    private readonly JournalEntry[] entries;
    private int kept;

    /// <summary>An empty one.</summary>
    public ExceptionJournal()
        : this(Capacity)
    {
    }

    private ExceptionJournal(int capacity) => entries = new JournalEntry[capacity];

    /// <summary>Events so far, those that fell out included.</summary>
    public ulong Count { get; private set; }

    /// <summary>Interrupts and NMIs among those that were noted here.</summary>
    public ulong Interrupts { get; private set; }

    /// <summary>A copy of some events, which are consecutive by their numbers, oldest first; it keeps no more than these.</summary>
    public static ExceptionJournal Of(IReadOnlyList<JournalEntry> events)
    {
        ArgumentNullException.ThrowIfNull(events);
        var journal = new ExceptionJournal(Math.Max(events.Count, 1));
        journal.GoOnBehind(events);
        return journal;
    }

    /// <summary>Notes an event.</summary>
    public void Record(ulong instructionCount, int vcpu, JournalKind kind, byte vector, uint error, in VcpuGlance registers)
    {
        entries[Count % (ulong)entries.Length] = new JournalEntry(Count + 1, instructionCount, vcpu, kind, vector, error, registers);
        Count++;
        kept = Math.Min(kept + 1, entries.Length);
        if (kind == JournalKind.Interrupt)
        {
            Interrupts++;
        }
    }

    /// <summary>The last <paramref name="most"/> events, oldest first; fewer when there are not so many.</summary>
    public IReadOnlyList<JournalEntry> Last(int most)
    {
        int count = Math.Min(Math.Max(most, 0), kept);
        var last = new JournalEntry[count];
        for (int i = 0; i < count; i++)
        {
            last[i] = entries[(Count - (ulong)(count - i)) % (ulong)entries.Length];
        }

        return last;
    }

    /// <summary>Goes on behind these events, as <see cref="Of"/> takes them.</summary>
    internal void GoOnBehind(IReadOnlyList<JournalEntry> events)
    {
        foreach (JournalEntry one in events)
        {
            entries[(one.Number - 1) % (ulong)entries.Length] = one;
            Count = one.Number;
            kept = Math.Min(kept + 1, entries.Length);
        }
    }
}
