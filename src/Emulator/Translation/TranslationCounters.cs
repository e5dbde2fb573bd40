namespace Emulator.Translation;

/// <summary>How often translated code was left, and why.</summary>
internal sealed class TranslationCounters
{
    private readonly long[] operations = new long[8192];

    /// <summary>By <see cref="SiteKind"/>.</summary>
    internal long[] Exits { get; } = new long[5];

    /// <summary>Accesses that asked C# for a translation.</summary>
    internal long Misses { get; set; }

    /// <summary>Jumps whose target the jump cache did not know.</summary>
    internal long Searches { get; set; }

    /// <summary>Operations left to the interpreter.</summary>
    internal long Interpreted => operations.Sum();

    /// <summary>One operation was left to the interpreter.</summary>
    internal void NoteOperation(int code) => operations[code & 8191]++;

    /// <summary>The operations left to the interpreter, most frequent first.</summary>
    internal IEnumerable<(Iced.Intel.Code Code, long Times)> Operations =>
        operations.Select((times, code) => ((Iced.Intel.Code)code, times)).Where(o => o.times > 0).OrderByDescending(o => o.times);
}
