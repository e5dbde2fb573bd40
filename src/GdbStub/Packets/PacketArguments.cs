using GdbStub.Wire;

namespace GdbStub.Packets;

/// <summary>What follows a packet's name, read from left to right. Every Try leaves the place where it was when it fails.</summary>
internal ref struct PacketArguments
{
    private ReadOnlySpan<byte> rest;

    public PacketArguments(ReadOnlySpan<byte> text) => rest = text;

    /// <summary>Not read yet.</summary>
    public readonly ReadOnlySpan<byte> Rest => rest;

    /// <summary>True when all is read.</summary>
    public readonly bool AtEnd => rest.IsEmpty;

    /// <summary>One certain character.</summary>
    public bool TryTake(char character)
    {
        bool found = !rest.IsEmpty && rest[0] == character;
        if (found)
        {
            rest = rest[1..];
        }

        return found;
    }

    /// <summary>A certain word.</summary>
    public bool TryTake(ReadOnlySpan<byte> word)
    {
        bool found = rest.StartsWith(word);
        if (found)
        {
            rest = rest[word.Length..];
        }

        return found;
    }

    /// <summary>The next <paramref name="count"/> bytes, which must be there.</summary>
    public ReadOnlySpan<byte> Take(int count)
    {
        ReadOnlySpan<byte> part = rest[..count];
        rest = rest[count..];
        return part;
    }

    /// <summary>Any one character.</summary>
    public bool TryTakeAny(out byte character)
    {
        character = rest.IsEmpty ? (byte)0 : rest[0];
        bool found = !rest.IsEmpty;
        rest = found ? rest[1..] : rest;
        return found;
    }

    /// <summary>Text up to a separator, which is taken too; all the rest when there is none.</summary>
    public ReadOnlySpan<byte> TakeUntil(char separator)
    {
        int end = rest.IndexOf((byte)separator);
        ReadOnlySpan<byte> part = end < 0 ? rest : rest[..end];
        rest = end < 0 ? [] : rest[(end + 1)..];
        return part;
    }

    /// <summary>1 to 16 hexadecimal digits; more is malformed, not truncated.</summary>
    public bool TryHex(out ulong value)
    {
        value = 0;
        int digits = 0;
        while (digits < rest.Length && Hex.Digit(rest[digits]) is >= 0 and int digit)
        {
            if (digits == 16)
            {
                return false;
            }

            value = (value << 4) | (uint)digit;
            digits++;
        }

        rest = rest[digits..];
        return digits > 0;
    }

    /// <summary>Two hexadecimal digits.</summary>
    public bool TryByte(out byte value)
    {
        value = 0;
        if (rest.Length < 2 || Hex.Digit(rest[0]) < 0 || Hex.Digit(rest[1]) < 0)
        {
            return false;
        }

        value = (byte)((Hex.Digit(rest[0]) << 4) | Hex.Digit(rest[1]));
        rest = rest[2..];
        return true;
    }

    /// <summary>"address,length", and nothing about what follows.</summary>
    public bool TryRange(out ulong address, out ulong length)
    {
        length = 0;
        return TryHex(out address) && TryTake(',') && TryHex(out length);
    }

    /// <summary>
    /// A thread id: a number, -1 for all (returned as -1), 0 for any; with or without the process part "p1." of
    /// multiprocess clients, whose process is then positive or -1 for all. A number too large to be one of ours becomes <see cref="int.MaxValue"/>.
    /// </summary>
    public bool TryThread(out ThreadId id)
    {
        int process = 0;
        id = default;
        if (TryTake('p'))
        {
            if (!TryNumber(out process))
            {
                return false;
            }

            if (!TryTake('.'))
            {
                id = new ThreadId(process, -1);
                return true;
            }
        }

        bool read = TryNumber(out int thread);
        id = new ThreadId(process, thread);
        return read;
    }

    private bool TryNumber(out int number)
    {
        number = -1;
        if (TryTake('-'))
        {
            return TryTake('1');
        }

        bool read = TryHex(out ulong value);
        number = (int)Math.Min(value, int.MaxValue);
        return read;
    }
}

/// <summary>A thread as a client names it.</summary>
/// <param name="Process">Its process; 0 for the chosen one, -1 for all.</param>
/// <param name="Thread">Its number; 0 for any, -1 for all.</param>
internal readonly record struct ThreadId(int Process, int Thread);
