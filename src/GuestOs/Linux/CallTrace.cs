using GuestOs.Linux.Symbols;

namespace GuestOs.Linux;

/// <summary>
/// The stack a panicking kernel printed into its own log (arch/x86/kernel/dumpstack.c), for images that lack the registers
/// to walk it again: raw memory, LiME, dumps taken long after the panic.
/// </summary>
public static class CallTrace
{
    /// <summary>Frames read of one trace.</summary>
    public const int MaxFrames = 256;

    private const string InstructionPointer = "RIP: 0010:";
    private const string Begin = "Call Trace:";

    /// <summary>
    /// The frames of the report that the panic at <paramref name="panic"/> belongs to, innermost first: the one the panic
    /// itself printed, else the one of the oops it came from. Addresses are not known. Empty when the log has none.
    /// </summary>
    public static IReadOnlyList<StackFrame> Find(IReadOnlyList<PrintkRecord> records, int panic)
    {
        ArgumentNullException.ThrowIfNull(records);
        List<StackFrame> frames = [];
        if (panic < 0 || panic >= records.Count)
        {
            return frames;
        }

        int trace = Trace(records, panic, records.Count);
        if (trace < 0)
        {
            // The panic of an oops prints no trace of its own; the one before it is the oops's.
            for (int i = panic - 1; i >= 0 && trace < 0; i--)
            {
                trace = records[i].FromKernel && records[i].Text.StartsWith(Begin, StringComparison.Ordinal) ? i : -1;
            }

            AddInstructionPointer(records, trace, frames);
        }

        for (int i = trace + 1; trace >= 0 && i < records.Count && frames.Count < MaxFrames; i++)
        {
            if (!records[i].FromKernel)
            {
                continue;
            }

            foreach (ReadOnlySpan<char> line in records[i].Text.AsSpan().EnumerateLines())
            {
                ReadOnlySpan<char> words = line.Trim();
                if (words.StartsWith("RIP: ") || words.StartsWith("---[") || words.StartsWith("Modules linked in") || words.StartsWith("Kernel Offset"))
                {
                    return frames;
                }

                if (TryFrame(words, frames.Count == 0, out StackFrame frame))
                {
                    frames.Add(frame);
                }
            }
        }

        return frames;
    }

    private static int Trace(IReadOnlyList<PrintkRecord> records, int from, int to)
    {
        for (int i = from; i < to; i++)
        {
            if (records[i].FromKernel && records[i].Text.StartsWith(Begin, StringComparison.Ordinal))
            {
                return i;
            }
        }

        return -1;
    }

    // Of an oops the function itself stands in the RIP line before its trace.
    private static void AddInstructionPointer(IReadOnlyList<PrintkRecord> records, int trace, List<StackFrame> frames)
    {
        for (int i = trace - 1; i >= 0 && i > trace - 64; i--)
        {
            if (records[i].FromKernel && records[i].Text.StartsWith(InstructionPointer, StringComparison.Ordinal)
                && TryFrame(records[i].Text.AsSpan(InstructionPointer.Length), true, out StackFrame frame))
            {
                frames.Add(frame);
                return;
            }
        }
    }

    // "function+0x16/0x20 [module]"; a question mark before it marks what is only left over on the stack.
    private static bool TryFrame(ReadOnlySpan<char> words, bool innermost, out StackFrame frame)
    {
        frame = default;
        int plus = words.IndexOf("+0x");
        if (plus <= 0 || words[..plus].ContainsAny(' ', '?', '<'))
        {
            return false;
        }

        int slash = words[(plus + 3)..].IndexOf('/');
        if (slash <= 0 || !ulong.TryParse(words.Slice(plus + 3, slash), System.Globalization.NumberStyles.AllowHexSpecifier, null, out ulong offset))
        {
            return false;
        }

        int open = words.IndexOf(" ["), close = open < 0 ? -1 : words[open..].IndexOf(']');
        string? module = close > 2 ? words.Slice(open + 2, close - 2).ToString() : null;
        frame = new StackFrame(0, 0, innermost, words[..plus].ToString(), offset, module);
        return true;
    }
}
