namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>What the generator knows at one place of a sequence, whatever way led there.</summary>
internal unsafe struct Knowledge
{
    private fixed ulong low[16];
    private fixed ulong high[16];

    /// <summary>Status flags the architecture leaves undefined here.</summary>
    internal ulong Undefined;

    /// <summary>DF: 1 set, −1 clear, 0 unknown.</summary>
    internal int Direction;

    /// <summary>Nothing is known of the register.</summary>
    internal readonly bool IsJunk(int register) => low[register] > high[register];

    internal readonly bool IsExact(int register) => low[register] == high[register];

    internal readonly ulong Low(int register) => low[register];

    internal readonly ulong High(int register) => high[register];

    internal void Forget(int register) => SetRange(register, 1, 0);

    internal void Set(int register, ulong value) => SetRange(register, value, value);

    internal void SetRange(int register, ulong from, ulong to)
    {
        low[register] = from;
        high[register] = to;
    }

    internal void Copy(int register, int from) => SetRange(register, low[from], high[from]);

    /// <summary>What holds on both ways to a place.</summary>
    internal void Join(in Knowledge other)
    {
        for (int i = 0; i < 16; i++)
        {
            if (IsJunk(i) || other.IsJunk(i))
            {
                Forget(i);
                continue;
            }

            ulong from = Math.Min(low[i], other.low[i]), to = Math.Max(high[i], other.high[i]);
            if (to - from > 4096)
            {
                Forget(i);
            }
            else
            {
                SetRange(i, from, to);
            }
        }

        Undefined |= other.Undefined;
        Direction = Direction == other.Direction ? Direction : 0;
    }
}
