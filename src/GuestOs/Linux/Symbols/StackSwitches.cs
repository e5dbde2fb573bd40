namespace GuestOs.Linux.Symbols;

/// <summary>
/// Functions that go over to another stack in the middle of themselves, by inline assembly (arch/x86/include/asm/irq_stack.h).
/// Compilers do not notice: their own unwinding tables are wrong there, and ORC is right.
/// </summary>
internal static class StackSwitches
{
    /// <summary>Functions listed. Debian's kernels have about forty.</summary>
    public const int MaxFunctions = 1 << 12;

    /// <summary>Where they begin and end, ascending.</summary>
    public static IReadOnlyList<(ulong Start, ulong End)> Find(KernelImage image)
    {
        var found = new List<(ulong Start, ulong End)>();
        if (image.Symbols is not { } symbols || image.Orc is not { } orc)
        {
            return found;
        }

        (ulong start, ulong end, _, _) = image.Text;
        for (int row = Math.Max(0, orc.IndexOf(start)); row < orc.Count && found.Count < MaxFunctions; row++)
        {
            ulong place = orc.PlaceOf(row);
            if (place - start >= end - start || (found.Count > 0 && place >= found[^1].Start && place < found[^1].End)
                || orc[row] is not { Kind: OrcKind.Call, Sp: OrcBase.SpIndirect })
            {
                continue;
            }

            if (symbols.TryFind(place, out KernelSymbol function))
            {
                int next = symbols.After(function.Address);
                found.Add((function.Address, next < symbols.Count ? symbols.AddressOf(next) : end));
            }
        }

        return found;
    }
}
