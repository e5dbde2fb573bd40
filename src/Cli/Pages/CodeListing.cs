using System.Globalization;
using Emulator;
using Emulator.Memory;
using GuestOs.Linux.Symbols;
using Iced.Intel;

namespace Cli.Pages;

/// <summary>One instruction of a listing.</summary>
/// <param name="Address">Where it is.</param>
/// <param name="Text">As gdb and the kernel write it (AT&amp;T), with names for addresses.</param>
/// <param name="IsCurrent">It is the one the listing is about: the next to be executed, or the call that has not returned.</param>
internal readonly record struct CodeLine(ulong Address, string Text, bool IsCurrent);

/// <summary>The instructions around a place in a guest's code.</summary>
/// <param name="Function">The function; null when it has no name, and then nothing before the place can be shown.</param>
/// <param name="Lines">In order.</param>
internal sealed record CodeListing(string? Function, IReadOnlyList<CodeLine> Lines)
{
    private const int LinesBefore = 10;
    private const int LinesAfter = 6;
    private const ulong LongestFunction = 64 << 10;
    private const int LongestInstruction = 15;

    /// <summary>Reads a listing; null when there is no code to be read.</summary>
    /// <param name="view">The machine.</param>
    /// <param name="image">Its kernel, for names; null when it has none.</param>
    /// <param name="vcpu">The CPU through whose page tables the code is read, and in whose mode.</param>
    /// <param name="pc">The place, as an offset in the code segment.</param>
    /// <param name="isReturn">It is where a call returns to: the call is what matters.</param>
    public static CodeListing? Read(IMachineView view, KernelImage? image, VcpuState vcpu, ulong pc, bool isReturn)
    {
        SegmentState code = vcpu.Segments[1];
        int bits = (code.Attributes & 0x2000) != 0 && (vcpu.Efer & 0x400) != 0 ? 64 : (code.Attributes & 0x4000) != 0 ? 32 : 16;
        ulong segment = bits == 64 ? 0 : code.Base;
        KernelSymbol symbol = default;
        bool named = image is not null && image.TryFindSymbol(isReturn ? pc - 1 : pc, out symbol, out _) && pc - symbol.Address <= LongestFunction;
        ulong start = named ? symbol.Address : pc;
        byte[] bytes = new byte[(int)(pc - start) + (LongestInstruction * (LinesAfter + 1))];
        int read = ReadLinear(view, image, vcpu, segment + start, bytes);
        if (read <= (int)(pc - start) - (isReturn ? 1 : 0))
        {
            // What is before the place may be gone; the place itself need not be.
            start = pc;
            read = ReadLinear(view, image, vcpu, segment + start, bytes);
        }

        var lines = new List<CodeLine>();
        FormatterOptions options = FormatterOptions.CreateGas();
        options.UppercaseHex = false;
        var formatter = new GasFormatter(options, image is null ? null : new Names(image));
        var output = new StringOutput();
        var decoder = Decoder.Create(bits, new ByteArrayCodeReader(bytes, 0, read), start);
        int current = -1;
        while (decoder.IP - start < (ulong)read && (current < 0 || lines.Count - current <= LinesAfter))
        {
            if (named && decoder.IP >= pc && (!image!.TryFindSymbol(decoder.IP, out KernelSymbol here, out _) || here.Address != symbol.Address))
            {
                break; // the next function
            }

            Instruction instruction = decoder.Decode();
            bool isCurrent = isReturn ? instruction.NextIP == pc : instruction.IP == pc;
            formatter.Format(instruction, output);
            string text = output.ToStringAndReset();
            if (instruction.IsInvalid)
            {
                text = "(bad)";
            }

            current = isCurrent ? lines.Count : current;
            lines.Add(new CodeLine(instruction.IP, text, isCurrent));
            if (current < 0 && lines.Count > LinesBefore)
            {
                lines.RemoveAt(0);
            }
        }

        return lines.Count == 0 ? null : new CodeListing(named ? symbol.Name : null, lines);
    }

    private static int ReadLinear(IMachineView view, KernelImage? image, VcpuState vcpu, ulong address, Span<byte> destination)
    {
        if (image is not null && image.Memory.IsImageAddress(address))
        {
            return image.Memory.Read(address, destination);
        }

        PagingRegisters registers = PagingRegisters.Of(vcpu);
        int done = 0;
        while (done < destination.Length && PageWalker.TryTranslate(view, registers, address + (ulong)done, out PageTranslation place))
        {
            int chunk = Math.Min(destination.Length - done, 4096 - (int)((address + (ulong)done) % 4096));
            int read = view.ReadPhysical(place.Physical, destination.Slice(done, chunk));
            done += read;
            if (read < chunk)
            {
                break;
            }
        }

        return done;
    }

    /// <summary>Names for the addresses that instructions refer to.</summary>
    private sealed class Names(KernelImage image) : ISymbolResolver
    {
        private const ulong LongestObject = 4096;

        public bool TryGetSymbol(in Instruction instruction, int operand, int instructionOperand, ulong address, int addressSize, out SymbolResult symbol)
        {
            symbol = default;
            if (!image.TryFindSymbol(address, out KernelSymbol found, out _))
            {
                return false;
            }

            // A string or a table without a name of its own lies behind some other that has one: its name would mislead.
            ulong offset = address - found.Address;
            if (offset != 0 && instruction.FlowControl == FlowControl.Next && (instruction.GetOpKind(instructionOperand) != OpKind.Memory || offset > LongestObject))
            {
                return false;
            }

            string name = offset == 0 ? found.Name : string.Create(CultureInfo.InvariantCulture, $"{found.Name}+0x{offset:x}");
            symbol = new SymbolResult(address, name);
            return true;
        }
    }
}
