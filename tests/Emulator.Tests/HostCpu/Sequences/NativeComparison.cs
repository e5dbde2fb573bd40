using System.Globalization;
using System.Text;
using Emulator.Cpu;
using Emulator.Memory;

namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>Runs a sequence on the host and on an engine of ours, from the same state, and says what differs.</summary>
internal sealed unsafe class NativeComparison(NativeRunner host, SequenceMachine guest, byte[][] data)
{
    private const ulong Limit = 4096;

    private readonly SequenceLayout layout = host.Layout;

    /// <summary>Exits taken that were faults.</summary>
    internal long Faults { get; private set; }

    /// <summary>Null if both leave the same.</summary>
    internal string? Compare(Sequence sequence)
    {
        string? difference = CompareOnce(sequence, flush: (sequence.Index & 7) == 0);

        // A signal that came while the stack pointer was the sequence's has written below it: once more.
        return difference == null ? null : CompareOnce(sequence, flush: (sequence.Index & 7) == 0);
    }

    private string? CompareOnce(Sequence sequence, bool flush)
    {
        PutData(sequence);
        UserState expected = sequence.State;
        int taken = host.Execute(sequence, ref expected);
        guest.Prepare(sequence, flush);
        CpuState* s = guest.State;
        ulong before = s->InstructionCount;
        VcpuExit exit;
        do
        {
            exit = guest.Cpu.Run(before + Limit, skipBreakpoint: true);
        }
        while (exit == VcpuExit.Budget && s->InstructionCount < before + Limit && !guest.ResetRequested);
        if (exit != VcpuExit.Halted)
        {
            return $"  ours does not end: {exit} at {s->Rip:x} after {s->InstructionCount - before} instructions\n";
        }

        Faults += sequence.Exits[taken].Vector >= 0 ? 1 : 0;
        return Difference(sequence, expected, sequence.Exits[taken], s->InstructionCount - before);
    }

    private void PutData(Sequence sequence)
    {
        byte[] bytes = data[sequence.DataVariant];
        for (int i = 0; i < 3; i++)
        {
            ulong page = i == 2 ? layout.Aliased : layout.Data + (ulong)(i * SequenceLayout.PageSize);
            ReadOnlySpan<byte> content = bytes.AsSpan(i * SequenceLayout.PageSize, SequenceLayout.PageSize);
            content.CopyTo(host.Page(page));
            content.CopyTo(guest.Page(page));
        }
    }

    private string? Difference(Sequence sequence, in UserState expected, in SequenceExit taken, ulong count)
    {
        StringBuilder? text = null;
        void Report(FormattableString line) => (text ??= new StringBuilder()).AppendLine(line.ToString(CultureInfo.InvariantCulture));

        CpuState* s = guest.State;
        bool delivered = taken.Vector >= 0 || sequence.Cpl == 3;
        ulong rip = s->Rip - 1, rsp = s->Gpr[4], rflags = s->Rflags;
        if (delivered)
        {
            // User code ends with HLT, which is #GP to it.
            int vector = taken.Vector >= 0 ? taken.Vector : Fault.GeneralProtection;
            ulong stub = s->Rip - 1 - layout.Handlers;
            if (stub != (ulong)vector * 16)
            {
                Report($"  exception: wanted {vector} at {expected.Rip:x}, ours came to {s->Rip:x} (stub of vector {(long)stub / 16})");
                return text!.ToString();
            }

            bool hasError = Fault.HasErrorCode(vector);
            ReadOnlySpan<byte> frame = guest.Frame(hasError);
            uint error = hasError ? BitConverter.ToUInt32(frame) : 0;
            frame = frame[(hasError ? 8 : 0)..];
            rip = BitConverter.ToUInt64(frame);
            rflags = BitConverter.ToUInt64(frame[16..]);
            rsp = BitConverter.ToUInt64(frame[24..]);
            if (error != taken.Error || (vector == Fault.PageFault && s->Cr2 != taken.Address))
            {
                Report($"  exception {vector}: wanted error {taken.Error:x} address {taken.Address:x}, ours {error:x} {s->Cr2:x}");
            }

            if ((rflags & 0x1_0000) == 0)
            {
                Report($"  exception {vector}: RF is not set in the image");
            }

            rflags &= ~0x1_0000UL;
        }

        CompareRegisters(expected, rsp, Report);
        ulong compared = ~taken.Undefined;
        if (((expected.Rflags ^ rflags) & compared) != 0)
        {
            Report($"  rflags: host {expected.Rflags & compared:x}, ours {rflags & compared:x}");
        }

        if (expected.Rip != rip)
        {
            Report($"  rip: host {expected.Rip:x}, ours {rip:x}");
        }

        ulong wanted = (ulong)taken.Index + (delivered ? 2u : 1u);
        if (sequence.IsStraight && count != wanted)
        {
            Report($"  count: wanted {wanted}, ours {count}");
        }

        CompareVectors(expected, Report);
        CompareMemory(sequence, Report);
        return text?.ToString();
    }

    private void CompareRegisters(in UserState expected, ulong rsp, Action<FormattableString> report)
    {
        for (int i = 0; i < 16; i++)
        {
            ulong ours = i == 4 ? rsp : guest.State->Gpr[i];
            if (expected.Gpr[i] != ours)
            {
                report($"  {SequenceReport.Name(i)}: host {expected.Gpr[i]:x16}, ours {ours:x16}");
            }
        }
    }

    // FOP, FIP and FDP (bytes 6–23) are the host's own; MXCSR_MASK is constant.
    private void CompareVectors(in UserState expected, Action<FormattableString> report)
    {
        fixed (byte* left = expected.Fx)
        {
            byte* right = guest.State->Fx;
            Range(left, right, "mxcsr", 24, 4, report);
            Range(left, right, "fcw fsw ftw", 0, 5, report);
            for (int i = 0; i < 8; i++)
            {
                Range(left, right, "st", 32 + (16 * i), 10, report);
            }

            if (new ReadOnlySpan<byte>(left + 160, 256).SequenceEqual(new ReadOnlySpan<byte>(right + 160, 256)))
            {
                return;
            }

            for (int i = 0; i < 16; i++)
            {
                Range(left, right, $"xmm{i}", 160 + (16 * i), 16, report);
            }
        }
    }

    private static void Range(byte* left, byte* right, string name, int offset, int length, Action<FormattableString> report)
    {
        var host = new ReadOnlySpan<byte>(left + offset, length);
        var ours = new ReadOnlySpan<byte>(right + offset, length);
        if (!host.SequenceEqual(ours))
        {
            string expected = Convert.ToHexString(host), actual = Convert.ToHexString(ours);
            report($"  {name} (+{offset}): host {expected}, ours {actual}");
        }
    }

    private void CompareMemory(Sequence sequence, Action<FormattableString> report)
    {
        ComparePage(layout.Data, 0, GuestMemory.PageSize, report);
        ComparePage(layout.Data + GuestMemory.PageSize, 0, GuestMemory.PageSize, report);
        ComparePage(layout.Aliased, 0, GuestMemory.PageSize, report);
        int offset = (int)(sequence.Address & 0xFFF);
        int first = Math.Min(sequence.Length, GuestMemory.PageSize - offset);
        ulong page = sequence.Address & ~0xFFFUL;
        ComparePage(page, offset, first, report);
        if (first < sequence.Length)
        {
            ComparePage(page + GuestMemory.PageSize, 0, sequence.Length - first, report);
        }
    }

    private void ComparePage(ulong page, int offset, int length, Action<FormattableString> report)
    {
        ReadOnlySpan<byte> expected = host.Page(page).Slice(offset, length);
        ReadOnlySpan<byte> actual = guest.Page(page).Slice(offset, length);
        if (expected.SequenceEqual(actual))
        {
            return;
        }

        int at = Math.Min(expected.CommonPrefixLength(actual) & ~7, Math.Max(0, length - 24));
        int shown = Math.Min(24, length - at);
        string left = Convert.ToHexString(expected.Slice(at, shown)), right = Convert.ToHexString(actual.Slice(at, shown));
        report($"  memory {page + (ulong)(offset + at):x}: host {left}, ours {right}");
    }
}
