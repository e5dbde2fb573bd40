namespace GuestOs.Linux.Symbols;

/// <summary>What stays as it is while a kernel runs: each part is read once, when it is first asked for.</summary>
internal sealed class KernelConstants
{
    private readonly KernelMemory memory;
    private readonly Lazy<SymbolTable?> symbols;
    private readonly Lazy<Btf?> types;
    private readonly Lazy<OrcTable?> orc;
    private readonly Lazy<string?> buildId;
    private readonly Lazy<(ulong Start, ulong End, ulong InitStart, ulong InitEnd)> text;

    public KernelConstants(LinuxKernel kernel)
    {
        memory = kernel.Memory;
        symbols = new(() => Kallsyms.Read(memory, Problems));
        types = new(ReadTypes);
        orc = new(() => Symbols is { } table ? OrcTable.Read(memory, table, Types, Problems) : null);
        buildId = new(() => kernel.Info.BuildId ?? ReadBuildId());
        text = new(ReadText);
    }

    public SymbolTable? Symbols => symbols.Value;

    public Btf? Types => types.Value;

    public OrcTable? Orc => orc.Value;

    public string? BuildId => buildId.Value;

    /// <summary>The kernel's text and the text of its initialisation.</summary>
    public (ulong Start, ulong End, ulong InitStart, ulong InitEnd) Text => text.Value;

    /// <summary>What was wrong with them.</summary>
    public ProblemLog Problems { get; } = new();

    private (ulong Start, ulong End, ulong InitStart, ulong InitEnd) ReadText()
    {
        ulong start = 0, end = 0, initStart = 0, initEnd = 0;
        if (Symbols is { } table && table.TryGetAddress("_stext", out start) && table.TryGetAddress("_etext", out end)
            && table.TryGetAddress("_sinittext", out initStart) && table.TryGetAddress("_einittext", out initEnd)
            && start < end && initStart <= initEnd)
        {
            return (start, end, initStart, initEnd);
        }

        return (start, Math.Max(start, end), 0, 0);
    }

    private Btf? ReadTypes()
    {
        if (Symbols is not { } table || !table.TryGetAddress("__start_BTF", out ulong start) || !table.TryGetAddress("__stop_BTF", out ulong end))
        {
            Problems.Add("BTF: the kernel has none, or its symbols do not tell where");
            return null;
        }

        byte[]? data = KernelBytes.Read(memory, start, end, Btf.MaxBytes);
        string? problem = "it cannot be read";
        Btf? read = data is null ? null : Btf.Parse(data, null, out problem);
        if (problem is not null)
        {
            Problems.Add($"BTF: {problem}");
        }

        return read;
    }

    // The linker's notes, as /sys/kernel/notes shows them.
    private string? ReadBuildId() =>
        Symbols is { } table && table.TryGetAddress("__start_notes", out ulong start) && table.TryGetAddress("__stop_notes", out ulong end)
            ? BuildIdNote.Find(KernelBytes.Read(memory, start, end, BuildIdNote.MaxBytes)) : null;
}
