using System.Globalization;
using System.Text;
using Iced.Intel;

namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>A sequence as text, to be read by whoever has to find out why it differs.</summary>
internal static unsafe class SequenceReport
{
    private static readonly string[] Names =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

    internal static string Describe(Sequence sequence, SequenceLayout layout, string difference)
    {
        var text = new StringBuilder();
        void Line(FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
        Line($"sequence {sequence.Index} of seed {sequence.Seed}, CPL {sequence.Cpl}, data {sequence.DataVariant}, region at {layout.Start:x}, gs {layout.GsBase:x}");
        Line($"  before: rflags {sequence.State.Rflags:x} mxcsr {sequence.State.Mxcsr:x} fcw {sequence.State.Fcw:x} fsw {sequence.State.Fsw:x}");
        for (int i = 0; i < 16; i += 4)
        {
            Line($"    {Register(sequence, i)} {Register(sequence, i + 1)} {Register(sequence, i + 2)} {Register(sequence, i + 3)}");
        }

        var formatter = new NasmFormatter();
        var output = new StringOutput();
        foreach (SequenceItem item in sequence.Items)
        {
            byte[] bytes = sequence.Code[item.Offset..(item.Offset + item.Length)];
            ulong rip = sequence.Address + (ulong)item.Offset;
            var decoder = Iced.Intel.Decoder.Create(64, bytes, rip);
            decoder.Decode(out Instruction instruction);
            formatter.Format(instruction, output);
            string fault = string.Concat(sequence.Exits
                .Where(exit => exit.Offset == item.Offset && exit.Vector >= 0)
                .Select(exit => $"   ; faults: vector {exit.Vector} error {exit.Error:x} address {exit.Address:x}"));
            Line($"    {rip:x} {Convert.ToHexString(bytes),-24} {output.ToStringAndReset()}{fault}");
        }

        return text.Append(difference).ToString();
    }

    private static string Register(Sequence sequence, int i) =>
        string.Create(CultureInfo.InvariantCulture, $"{Names[i],3} {sequence.State.Gpr[i]:x16}");

    internal static string Name(int register) => Names[register];

    /// <summary>
    /// Replaces what can be spared by no-operations of the same length, as long as the sequence still differs.
    /// </summary>
    internal static string Minimise(Sequence sequence, Func<Sequence, string?> compare, string difference)
    {
        byte[] nops = [0x90];
        bool smaller = true;
        while (smaller)
        {
            smaller = false;
            for (int i = sequence.Items.Count - 1; i >= 0; i--)
            {
                SequenceItem item = sequence.Items[i];
                Span<byte> code = sequence.Code.AsSpan(item.Offset, item.Length);
                if (!item.Droppable || IsNop(code))
                {
                    continue;
                }

                byte[] kept = code.ToArray();
                code.Fill(0x66);
                code[^1] = nops[0];
                string? still = compare(sequence);
                if (still == null)
                {
                    kept.CopyTo(code);
                    continue;
                }

                difference = still;
                smaller = true;
            }
        }

        return difference;
    }

    private static bool IsNop(ReadOnlySpan<byte> code) => code[^1] == 0x90 && !code[..^1].ContainsAnyExcept((byte)0x66);
}
