using System.Diagnostics.CodeAnalysis;
using Debugging.X86;
using GdbStub.Targets;

namespace Debugging.Commands;

/// <summary>
/// The numbers a person types: C's, the selected thread's registers with a $ in front, the kernel's symbols, and sums and
/// differences of these without blanks, as in <c>$rsp+0x10</c> and <c>init_task</c>. gdb does not evaluate what it passes on.
/// </summary>
internal static class MonitorNumber
{
    /// <summary>Reads numbers with blanks between them; false with what is wrong in a line.</summary>
    public static bool TryReadAll(MonitorContext context, string text, out ulong[] values, [NotNullWhen(false)] out string? error)
    {
        string[] words = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        values = new ulong[words.Length];
        error = null;
        for (int i = 0; i < words.Length && error is null; i++)
        {
            error = Read(context, words[i], out values[i]);
        }

        return error is null;
    }

    private static string? Read(MonitorContext context, string word, out ulong value)
    {
        value = 0;
        bool subtract = false;
        for (int at = 0; at <= word.Length;)
        {
            int end = word.AsSpan(at).IndexOfAny('+', '-');
            end = end < 0 ? word.Length : at + end;
            if (!TryTerm(context, word[at..end], out ulong term))
            {
                return word[at..end] is { Length: > 0 } wrong
                    ? $"'{wrong}' is no number in C's notation, no register like $rip, and no symbol that is known here"
                    : $"'{word}' is no sum of numbers";
            }

            value = subtract ? value - term : value + term;
            if (end == word.Length)
            {
                break;
            }

            subtract = word[end] == '-';
            at = end + 1;
        }

        return null;
    }

    private static bool TryTerm(MonitorContext context, string term, out ulong value)
    {
        if (MonitorText.TryNumber(term, out value))
        {
            return true;
        }

        if (!term.StartsWith('$'))
        {
            ulong? address = context.Inspect(view => context.Kernel(view)?.Symbols is { } symbols && symbols.TryGetAddress(term, out ulong found) ? found : (ulong?)null);
            value = address ?? 0;
            return address is not null;
        }

        // gdb's own names for roles, which its users type.
        string name = term[1..] switch { "pc" => "rip", "sp" => "rsp", "fp" => "rbp", var other => other };
        RegisterInfo? register = X86Description.Instance.Registers.FirstOrDefault(one => one.Name == name && one.Size <= sizeof(ulong));
        ulong? held = register is null ? null : context.Register(register);
        value = held ?? 0;
        return held is not null;
    }
}
