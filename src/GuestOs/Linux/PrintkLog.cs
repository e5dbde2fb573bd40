using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace GuestOs.Linux;

/// <summary>
/// The kernel's log as it stands in its memory: whole, with who wrote each message, whatever the console showed of it.
/// Reads both the lockless ring of 5.10 and later and the record buffer of 3.5 to 5.9.
/// </summary>
public sealed class PrintkLog
{
    /// <summary>Messages read; of a longer log the newest.</summary>
    public const int MaxRecords = 1 << 17;

    /// <summary>Bytes of text read in all.</summary>
    public const int MaxTextBytes = 1 << 25;

    internal PrintkLog(IReadOnlyList<PrintkRecord> records, int unreadable)
    {
        Records = records;
        Unreadable = unreadable;
    }

    /// <summary>The messages, oldest first.</summary>
    public IReadOnlyList<PrintkRecord> Records { get; }

    /// <summary>Messages that are there but whose text is lost or makes no sense.</summary>
    public int Unreadable { get; }

    /// <summary>Reads the log; false, with the reason, when the kernel does not say where it is or what it says is impossible.</summary>
    public static bool TryRead(KernelMemory memory, [NotNullWhen(true)] out PrintkLog? log, [NotNullWhen(false)] out string? whyNot)
    {
        ArgumentNullException.ThrowIfNull(memory);
        log = null;
        if (memory.Info.TryGetSymbol("prb", out _) || memory.Info.TryGetSymbol("printk_rb_static", out _))
        {
            return PrintkRing.TryRead(memory, out log, out whyNot);
        }

        if (memory.Info.TryGetSymbol("log_buf", out _))
        {
            return PrintkBuffer.TryRead(memory, out log, out whyNot);
        }

        whyNot = "VMCOREINFO names neither prb nor log_buf";
        return false;
    }

    /// <summary>The log as dmesg shows it.</summary>
    public string ToText()
    {
        var text = new StringBuilder();
        foreach (PrintkRecord record in Records)
        {
            record.AppendTo(text);
        }

        return text.ToString();
    }
}
