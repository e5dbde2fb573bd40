using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace GdbStub.Agents;

/// <summary>
/// The format of a printf bytecode, taken apart once. It is C's, with the escapes of a C string still in it as gdb sends
/// them; <c>*</c> and <c>%n</c> are not in it. A %s argument is the address of a string in the target. Source: "Dynamic
/// Printf" and "Output" in gdb's manual.
/// </summary>
internal sealed class PrintfFormat
{
    /// <summary>Longest string a %s prints.</summary>
    private const int MaxString = 4096;

    /// <summary>Widest field and highest precision.</summary>
    private const int MaxWidth = 512;

    private readonly List<Piece> pieces = [];

    private PrintfFormat()
    {
    }

    /// <summary>Arguments on the stack, used or not.</summary>
    public int Arguments { get; private init; }

    /// <summary>Takes a format apart, a NUL at its end; false with what is wrong.</summary>
    public static bool TryParse(
        ReadOnlySpan<byte> text, int arguments, [NotNullWhen(true)] out PrintfFormat? format, [NotNullWhen(false)] out string? error)
    {
        format = null;
        error = null;
        if (text.IsEmpty || text[^1] != 0)
        {
            error = "a format without a NUL at its end";
            return false;
        }

        var made = new PrintfFormat { Arguments = arguments };
        var literal = new List<byte>();
        int used = 0;
        for (int at = 0; text[at] != 0;)
        {
            if (text[at] == '\\')
            {
                literal.Add(Escape(text, ref at));
            }
            else if (text[at] == '%' && text[at + 1] == '%')
            {
                literal.Add((byte)'%');
                at += 2;
            }
            else if (text[at] != '%')
            {
                literal.Add(text[at++]);
            }
            else
            {
                if (!TryConversion(text, ref at, [.. literal], out Piece piece))
                {
                    error = $"a conversion that is not taken, at '{(char)text[at]}', byte {at} of the format";
                    return false;
                }

                literal.Clear();
                made.pieces.Add(piece);
                if (++used > arguments)
                {
                    error = $"a format with more conversions than its {arguments} arguments";
                    return false;
                }
            }
        }

        made.pieces.Add(new Piece([.. literal], 0, default, 0, -1, 0));
        format = made;
        return true;
    }

    /// <summary>Prints; the first argument is the last on the stack. False when a string is not there.</summary>
    public bool Print<TContext>(ref TContext context, ReadOnlySpan<ulong> arguments)
        where TContext : struct, IAgentContext
    {
        var output = new Sink(stackalloc byte[1024]);
        Span<byte> digits = stackalloc byte[MaxWidth];
        int next = arguments.Length;
        foreach (Piece piece in pieces)
        {
            output.Put(ref context, piece.Before);
            switch (piece.Conversion)
            {
                case 0:
                    break;

                case (byte)'s':
                    if (!PrintString(ref context, ref output, piece, arguments[--next]))
                    {
                        return false;
                    }

                    break;

                default:
                    PutField(ref context, ref output, piece, digits[..Spell(piece, arguments[--next], digits, out int sign)], sign);
                    break;
            }
        }

        output.Flush(ref context);
        return true;
    }

    private static bool PrintString<TContext>(ref TContext context, ref Sink output, in Piece piece, ulong address)
        where TContext : struct, IAgentContext
    {
        Span<byte> one = stackalloc byte[1];
        int limit = piece.Precision < 0 ? MaxString : piece.Precision;
        if (piece.Width == 0)
        {
            for (int i = 0; i < limit; i++)
            {
                if (!context.TryReadMemory(address + (ulong)i, one))
                {
                    return false;
                }

                if (one[0] == 0)
                {
                    break;
                }

                output.Put(ref context, one);
            }

            return true;
        }

        // A field of a width: what is longer than the widest one is cut.
        Span<byte> text = stackalloc byte[MaxWidth];
        int length = 0;
        while (length < limit && length < text.Length)
        {
            if (!context.TryReadMemory(address + (ulong)length, text.Slice(length, 1)))
            {
                return false;
            }

            if (text[length] == 0)
            {
                break;
            }

            length++;
        }

        PutField(ref context, ref output, piece, text[..length], 0);
        return true;
    }

    /// <summary>Pads to the width: with zeros behind the sign and prefix (the first <paramref name="sign"/> bytes) or with blanks on either side.</summary>
    private static void PutField<TContext>(ref TContext context, ref Sink output, in Piece piece, scoped ReadOnlySpan<byte> text, int sign)
        where TContext : struct, IAgentContext
    {
        int blank = Math.Max(piece.Width - text.Length, 0);
        bool left = piece.Has(Flags.Left);
        bool zeros = !left && piece.Has(Flags.Zero) && piece.Precision < 0 && piece.Conversion is not ((byte)'s' or (byte)'c');
        output.Fill(ref context, (byte)' ', left || zeros ? 0 : blank);
        output.Put(ref context, text[..sign]);
        output.Fill(ref context, (byte)'0', zeros ? blank : 0);
        output.Put(ref context, text[sign..]);
        output.Fill(ref context, (byte)' ', left ? blank : 0);
    }

    /// <summary>Spells a number; returns its length, <paramref name="sign"/> of which are sign and prefix.</summary>
    private static int Spell(in Piece piece, ulong argument, Span<byte> text, out int sign)
    {
        sign = 0;
        ulong bits = piece.Bits == 64 ? argument : argument & ((1UL << piece.Bits) - 1);
        Span<byte> digits = stackalloc byte[400];
        int count;
        switch ((char)piece.Conversion)
        {
            case 'c':
                text[0] = (byte)argument;
                return 1;

            case 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or 'a' or 'A':
                double number = BitConverter.UInt64BitsToDouble(argument);
                Span<char> form = stackalloc char[4];
                form[0] = (char)piece.Conversion is 'a' or 'A' ? 'E' : (char)piece.Conversion;
                Math.Min(piece.Precision < 0 ? 6 : piece.Precision, 60).TryFormat(form[1..], out int written, default, CultureInfo.InvariantCulture);
                number.TryFormat(digits, out count, form[..(written + 1)], CultureInfo.InvariantCulture);
                digits[..count].CopyTo(text);
                sign = number < 0 ? 1 : 0;
                return count;

            case 'd' or 'i':
                long value = (long)(bits << (64 - piece.Bits)) >> (64 - piece.Bits);
                sign = Sign(value < 0 ? "-"u8 : piece.Has(Flags.Plus) ? "+"u8 : piece.Has(Flags.Blank) ? " "u8 : [], text);
                (value < 0 ? 0 - (ulong)value : (ulong)value).TryFormat(digits, out count, default, CultureInfo.InvariantCulture);
                break;

            case 'x':
                sign = Sign(piece.Has(Flags.Alternate) && bits != 0 ? "0x"u8 : [], text);
                bits.TryFormat(digits, out count, "x", CultureInfo.InvariantCulture);
                break;

            case 'X':
                sign = Sign(piece.Has(Flags.Alternate) && bits != 0 ? "0X"u8 : [], text);
                bits.TryFormat(digits, out count, "X", CultureInfo.InvariantCulture);
                break;

            case 'p':
                sign = Sign("0x"u8, text);
                argument.TryFormat(digits, out count, "x", CultureInfo.InvariantCulture);
                break;

            case 'o':
                sign = Sign(piece.Has(Flags.Alternate) && bits != 0 ? "0"u8 : [], text);
                count = Octal(bits, digits);
                break;

            default:
                bits.TryFormat(digits, out count, default, CultureInfo.InvariantCulture);
                break;
        }

        int zeros = Math.Clamp(piece.Precision - count, 0, text.Length - sign - count);
        text.Slice(sign, zeros).Fill((byte)'0');
        digits[..count].CopyTo(text[(sign + zeros)..]);
        return sign + zeros + count;
    }

    private static int Sign(ReadOnlySpan<byte> sign, Span<byte> text)
    {
        sign.CopyTo(text);
        return sign.Length;
    }

    private static int Octal(ulong bits, Span<byte> digits)
    {
        int count = 1;
        for (ulong rest = bits >> 3; rest != 0; rest >>= 3)
        {
            count++;
        }

        for (int i = count - 1; i >= 0; i--, bits >>= 3)
        {
            digits[i] = (byte)('0' + (bits & 7));
        }

        return count;
    }

    /// <summary>The byte an escape stands for; an unknown one for the character behind the backslash. The NUL at the end stops all.</summary>
    private static byte Escape(ReadOnlySpan<byte> text, ref int at)
    {
        byte letter = text[at + 1];
        if (letter == 0)
        {
            at++;
            return (byte)'\\';
        }

        at += 2;
        if (letter is >= (byte)'0' and <= (byte)'7')
        {
            int value = letter - '0';
            for (int digits = 1; digits < 3 && text[at] is >= (byte)'0' and <= (byte)'7'; digits++)
            {
                value = (value * 8) + (text[at++] - '0');
            }

            return (byte)value;
        }

        return (char)letter switch
        {
            'a' => 7,
            'b' => 8,
            'e' => 27,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            _ => letter,
        };
    }

    private static bool TryConversion(ReadOnlySpan<byte> text, ref int at, byte[] before, out Piece piece)
    {
        at++;
        Flags flags = 0;
        for (; "-+ 0#'"u8.IndexOf(text[at]) is >= 0 and int flag; at++)
        {
            flags |= (Flags)(1 << flag);
        }

        int width = Number(text, ref at);
        int precision = -1;
        if (text[at] == '.')
        {
            at++;
            precision = Number(text, ref at);
        }

        int bits = 32;
        for (; "hlLqjztw"u8.IndexOf(text[at]) is >= 0 and int modifier; at++)
        {
            bits = modifier > 0 ? 64 : bits == 16 ? 8 : 16;
        }

        byte conversion = text[at];
        piece = new Piece(before, conversion, flags, width, precision, bits);
        if ("diouxXcspeEfFgGaA"u8.IndexOf(conversion) < 0)
        {
            return false;
        }

        at++;
        return true;
    }

    private static int Number(ReadOnlySpan<byte> text, ref int at)
    {
        int value = 0;
        for (; text[at] is >= (byte)'0' and <= (byte)'9'; at++)
        {
            value = Math.Min((value * 10) + (text[at] - '0'), MaxWidth);
        }

        return value;
    }

    [Flags]
    private enum Flags
    {
        Left = 1,
        Plus = 2,
        Blank = 4,
        Zero = 8,
        Alternate = 16,
        Grouped = 32,
    }

    /// <param name="Before">Text in front of the conversion.</param>
    /// <param name="Conversion">Its letter; 0 for none.</param>
    /// <param name="Flags">Its flags.</param>
    /// <param name="Width">Narrowest field.</param>
    /// <param name="Precision">-1 when none is given.</param>
    /// <param name="Bits">Bits of the argument that count.</param>
    private readonly record struct Piece(byte[] Before, byte Conversion, Flags Flags, int Width, int Precision, int Bits)
    {
        public bool Has(Flags flag) => (Flags & flag) != 0;
    }

    /// <summary>Collects what is printed, so that a message of usual length goes out in one piece.</summary>
    private ref struct Sink(Span<byte> buffer)
    {
        private readonly Span<byte> buffer = buffer;
        private int length;

        public void Put<TContext>(ref TContext context, scoped ReadOnlySpan<byte> text)
            where TContext : struct, IAgentContext
        {
            while (!text.IsEmpty)
            {
                if (length == buffer.Length)
                {
                    Flush(ref context);
                }

                int count = Math.Min(text.Length, buffer.Length - length);
                text[..count].CopyTo(buffer[length..]);
                length += count;
                text = text[count..];
            }
        }

        public void Fill<TContext>(ref TContext context, byte value, int count)
            where TContext : struct, IAgentContext
        {
            Span<byte> one = [value];
            for (int i = 0; i < count; i++)
            {
                Put(ref context, one);
            }
        }

        public void Flush<TContext>(ref TContext context)
            where TContext : struct, IAgentContext
        {
            if (length > 0)
            {
                context.Print(buffer[..length]);
                length = 0;
            }
        }
    }
}
