using System.Globalization;
using System.Text;

namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>All a vCPU and its RAM are at an instruction boundary.</summary>
internal sealed unsafe class VcpuRecord
{
    // Registers and count; segments, tables, control and debug registers; the FXSAVE image. Between them stand pointers of ours.
    private static readonly (int From, int To)[] Parts = [(0, 160), (192, 472), (512, 1024)];

    private readonly byte[] bytes = new byte[1024];

    internal ulong Memory { get; private set; }

    internal ulong Count => BitConverter.ToUInt64(bytes, 152);

    internal ulong Rip => BitConverter.ToUInt64(bytes, 136);

    internal void Take(SequenceMachine machine)
    {
        new ReadOnlySpan<byte>(machine.State, 1024).CopyTo(bytes);
        Memory = machine.HashMemory();
    }

    /// <summary>Null if both are the same, else one line a difference.</summary>
    internal string? Difference(VcpuRecord other)
    {
        bool same = Memory == other.Memory;
        foreach ((int from, int to) in Parts)
        {
            same &= bytes.AsSpan(from..to).SequenceEqual(other.bytes.AsSpan(from..to));
        }

        if (same)
        {
            return null;
        }

        var text = new StringBuilder();
        foreach ((int from, int to) in Parts)
        {
            for (int at = from; at < to; at += 8)
            {
                ulong left = BitConverter.ToUInt64(bytes, at), right = BitConverter.ToUInt64(other.bytes, at);
                if (left != right)
                {
                    text.AppendLine(CultureInfo.InvariantCulture, $"    {Name(at)}: reference {left:x16}, candidate {right:x16}");
                }
            }
        }

        if (Memory != other.Memory)
        {
            text.AppendLine("    memory differs");
        }

        return text.ToString();
    }

    private static string Name(int offset) => offset switch
    {
        < 128 => SequenceReport.Name(offset / 8),
        136 => "rip",
        144 => "rflags",
        152 => "count",
        < 336 => $"segment {(offset - 192) / 16} (+{(offset - 192) & 15})",
        >= 408 and < 472 => $"dr{(offset - 408) / 8}",
        >= 672 and < 928 => $"xmm{(offset - 672) / 16} (+{offset & 8})",
        >= 512 => $"fxsave image +{offset - 512}",
        368 => "cr2",
        _ => $"state +{offset}",
    };
}
