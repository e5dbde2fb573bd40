using System.Buffers;

namespace GdbStub.Wire;

/// <summary>Hexadecimal digits as the protocol writes them: lower case out, either case in.</summary>
internal static class Hex
{
    /// <summary>Value of a digit, or -1.</summary>
    public static int Digit(byte character) => character switch
    {
        >= (byte)'0' and <= (byte)'9' => character - '0',
        >= (byte)'a' and <= (byte)'f' => character - 'a' + 10,
        >= (byte)'A' and <= (byte)'F' => character - 'A' + 10,
        _ => -1,
    };

    /// <summary>Writes two digits a byte; <paramref name="text"/> holds at least twice the length.</summary>
    public static void Encode(ReadOnlySpan<byte> bytes, Span<byte> text)
    {
        bool fits = Convert.TryToHexStringLower(bytes, text, out _);
        ArgumentOutOfRangeException.ThrowIfNotEqual(fits, true, nameof(text));
    }

    /// <summary>Reads pairs of digits into <paramref name="bytes"/>; false when the text is not exactly that many pairs of digits.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> text, Span<byte> bytes)
    {
        if (text.Length != bytes.Length * 2)
        {
            return false;
        }

        return Convert.FromHexString(text, bytes, out _, out _) == OperationStatus.Done;
    }
}
