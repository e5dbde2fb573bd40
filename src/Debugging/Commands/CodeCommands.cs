using System.Globalization;
using System.Text;
using Debugging.X86;
using Emulator;
using GuestOs.Linux.Symbols;
using Iced.Intel;

namespace Debugging.Commands;

/// <summary>Instructions. gdb is told of a 64-bit CPU and takes all code for 64-bit; a kernel's first instructions are not.</summary>
internal static class CodeCommands
{
    private const ulong UsualCount = 10, MostCount = 1000;
    private const int LongestInstruction = 15;

    /// <summary>What lies farther behind a symbol than this is no part of it.</summary>
    private const ulong LongestSymbol = 0x10_0000;

    public static readonly MonitorCommand[] All =
    [
        new("code", "[ADDRESS [COUNT]]", "instructions in the mode the vCPU is in, at the next one or at a linear address", List),
    ];

    private static string List(MonitorContext context, string arguments)
    {
        if (!MonitorNumber.TryReadAll(context, arguments, out ulong[] numbers, out string? error) || numbers.Length > 2
            || (numbers.Length == 2 && numbers[1] is 0 or > MostCount))
        {
            return $"{error ?? $"usage: code [ADDRESS [COUNT]], with a count of 1 to {MostCount}"}\n";
        }

        int vcpu = context.Vcpu;
        ulong? at = numbers.Length > 0 ? numbers[0] : context.Register(X86Description.Register("linear_pc")) ?? context.Register(X86Description.Register("rip"));
        return at is { } start
            ? context.Inspect(view => List(context, view, vcpu, start, (int)(numbers.Length > 1 ? numbers[1] : UsualCount)))
            : "where this thread goes on is not known\n";
    }

    private static string List(MonitorContext context, IMachineView view, int vcpu, ulong start, int count)
    {
        view.Glance(vcpu, out VcpuGlance registers);
        int bits = MonitorText.CodeBits(registers);

        // Outside 64-bit mode addresses in instructions count from the segment's base.
        ulong segment = bits == 64 ? 0 : registers.Bases[1];
        byte[] bytes = new byte[count * LongestInstruction];
        int read = VirtualMemory.Read(view, context.Paging(view), start, bytes);
        if (read == 0)
        {
            return $"no memory at 0x{start:x}\n";
        }

        var decoder = Iced.Intel.Decoder.Create(bits, new ByteArrayCodeReader(bytes, 0, read), start - segment);
        SymbolTable? symbols = bits == 64 ? context.Kernel(view)?.Symbols : null;
        FormatterOptions style = FormatterOptions.CreateGas();
        (style.UppercaseHex, style.SmallHexNumbersInDecimal, style.BranchLeadingZeros) = (false, false, false);
        var formatter = new GasFormatter(style, symbols is null ? null : new Names(symbols));
        var line = new StringOutput();
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{bits}-bit code{(segment == 0 ? "" : $", segment at 0x{segment:x}")}\n");
        for (int i = 0, offset = 0; i < count && offset < read; i++)
        {
            decoder.Decode(out Instruction instruction);
            if (decoder.LastError == DecoderError.NoMoreBytes)
            {
                text.Append(CultureInfo.InvariantCulture, $"no memory at 0x{start + (ulong)read:x}\n");
                break;
            }

            formatter.Format(instruction, line);
            string words = line.ToStringAndReset();
            ulong address = start + (ulong)offset;
            char mark = address == registers.LinearPc ? '>' : ' ';
            string place = symbols is not null && symbols.TryFind(address, out KernelSymbol symbol) && address - symbol.Address < LongestSymbol
                ? string.Create(CultureInfo.InvariantCulture, $" <{symbol.Name}+0x{address - symbol.Address:x}>") : "";
            text.Append(CultureInfo.InvariantCulture, $"{mark} 0x{address:x}{place}: {Convert.ToHexStringLower(bytes.AsSpan(offset, instruction.Length))}  {(instruction.IsInvalid ? "(bad)" : words)}\n");
            offset += instruction.Length;
        }

        return text.ToString();
    }

    /// <summary>Names for the addresses in operands.</summary>
    private sealed class Names(SymbolTable symbols) : ISymbolResolver
    {
        // Below the kernel's half an operand is a number and no address of a symbol.
        private const ulong KernelHalf = 0xFFFF_8000_0000_0000;

        public bool TryGetSymbol(in Instruction instruction, int operand, int instructionOperand, ulong address, int addressSize, out SymbolResult symbol)
        {
            KernelSymbol nearest = default;
            bool found = address >= KernelHalf && symbols.TryFind(address, out nearest) && address - nearest.Address < LongestSymbol;
            symbol = found ? new SymbolResult(nearest.Address, nearest.Name) : default;
            return found;
        }
    }
}
