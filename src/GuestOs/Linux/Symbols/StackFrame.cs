using System.Globalization;

namespace GuestOs.Linux.Symbols;

/// <summary>One function of a stack, inlined ones not told apart.</summary>
/// <param name="Pc">The next instruction in it: of a caller, the one it returns to.</param>
/// <param name="Sp">Its stack pointer at that instruction.</param>
/// <param name="Interrupted">It did not call the frame before it: an interrupt or a fault came there. The first frame counts as such.</param>
/// <param name="Symbol">The function; null when nothing is known of the address (user code, BPF).</param>
/// <param name="Offset">Bytes from the function's beginning to <paramref name="Pc"/>.</param>
/// <param name="Module">The module it is in; null in the kernel itself.</param>
public readonly record struct StackFrame(ulong Pc, ulong Sp, bool Interrupted, string? Symbol, ulong Offset, string? Module)
{
    /// <summary>As the kernel writes it: function+offset, and the module in brackets.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{(Symbol is null ? $"0x{Pc:x}" : $"{Symbol}+0x{Offset:x}")}{(Module is null ? "" : $" [{Module}]")}");
}
