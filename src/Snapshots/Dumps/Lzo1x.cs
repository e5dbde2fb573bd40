namespace Snapshots.Dumps;

/// <summary>
/// Expands LZO1X, the compression makedumpfile -l and QEMU's kdump-lzo use for pages. Source: the kernel's
/// Documentation/staging/lzo.rst, which describes the stream. Everything in it is hostile: each length and distance is
/// held against what there is.
/// </summary>
internal static class Lzo1x
{
    private const int LongLiterals = 4;

    /// <summary>Expands into <paramref name="output"/>; the bytes written, or -1 when the stream is damaged or does not fit.</summary>
    public static int Expand(ReadOnlySpan<byte> input, Span<byte> output)
    {
        int at = 0, written = 0, state = 0;
        if (input.Length > 0 && input[0] > 17)
        {
            // The first instruction may be literals alone.
            int count = input[at++] - 17;
            state = Math.Min(count, LongLiterals);
            if (!Literals(input, ref at, output, ref written, count))
            {
                return -1;
            }
        }

        while (at < input.Length)
        {
            int op = input[at++];
            int length, distance;
            if (op < 16 && state == 0)
            {
                length = op;
                if ((length == 0 && !Extend(input, ref at, 15, out length)) || !Literals(input, ref at, output, ref written, length + 3))
                {
                    return -1;
                }

                state = LongLiterals;
                continue;
            }

            if (op < 16)
            {
                // What this one means depends on how many literals came before it.
                if (at == input.Length)
                {
                    return -1;
                }

                distance = (input[at++] << 2) + (op >> 2) + (state == LongLiterals ? 2049 : 1);
                length = state == LongLiterals ? 3 : 2;
                state = op & 3;
            }
            else if (op < 64)
            {
                int bits = op < 32 ? 7 : 31;
                length = op & bits;
                if ((length == 0 && !Extend(input, ref at, bits, out length)) || at + 2 > input.Length)
                {
                    return -1;
                }

                int word = input[at] | (input[at + 1] << 8);
                at += 2;
                length += 2;
                state = word & 3;
                distance = (word >> 2) + 1;
                if (op < 32)
                {
                    distance += 0x3FFF + ((op & 8) << 11);
                    if (distance == 0x4000)
                    {
                        return at == input.Length ? written : -1; // the end
                    }
                }
            }
            else
            {
                if (at == input.Length)
                {
                    return -1;
                }

                distance = (input[at++] << 3) + ((op >> 2) & 7) + 1;
                length = op < 128 ? 3 + ((op >> 5) & 1) : 5 + ((op >> 5) & 3);
                state = op & 3;
            }

            if (distance > written || length > output.Length - written)
            {
                return -1;
            }

            // Byte by byte: a match may reach into what it writes.
            for (; length > 0; length--, written++)
            {
                output[written] = output[written - distance];
            }

            if (!Literals(input, ref at, output, ref written, state))
            {
                return -1;
            }
        }

        return -1;
    }

    private static bool Literals(ReadOnlySpan<byte> input, ref int at, Span<byte> output, ref int written, int count)
    {
        if (count > input.Length - at || count > output.Length - written)
        {
            return false;
        }

        input.Slice(at, count).CopyTo(output[written..]);
        at += count;
        written += count;
        return true;
    }

    /// <summary>A length that did not fit the instruction: 255 for each zero byte, then the first other one.</summary>
    private static bool Extend(ReadOnlySpan<byte> input, ref int at, int start, out int length)
    {
        length = start;
        for (; at < input.Length; at++)
        {
            if (input[at] != 0)
            {
                length += input[at++];
                return true;
            }

            length += 255;
        }

        return false;
    }
}
