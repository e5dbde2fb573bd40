namespace Emulator.Tests.HostCpu;

/// <summary>Operand values near the corners: signs, carries, denormals, infinities, NaNs, and plain random bits.</summary>
internal static class EdgeValues
{
    private static readonly ulong[] Integers =
    [
        0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000,
        0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF,
        0xFFFFFFFFFFFFFF80, 0xFFFFFFFFFFFF8000, 0xFFFFFFFF80000000, 0x8000000080000000, 0x0101010101010101, 0x8080808080808080,
        0x99, 0x9999, 0x5555555555555555, 0xAAAAAAAAAAAAAAAA,
    ];

    private static readonly uint[] Singles =
    [
        0, 0x80000000, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001, 0x7F800001, 0xFFA00000,
        1, 0x80000001, 0x007FFFFF, 0x00800000, 0x80800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x3F000000, 0x3FC00000, 0x40200000,
        0x4F000000, 0xCF000000, 0x4EFFFFFF, 0x5F000000, 0x4B000000, 0x4AFFFFFF, 0x3EFFFFFF, 0x33800000,
    ];

    private static readonly ulong[] Doubles =
    [
        0, 0x8000000000000000, 0x3FF0000000000000, 0xBFF0000000000000, 0x7FF0000000000000, 0xFFF0000000000000,
        0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000001, 0xFFF4000000000000, 1, 0x8000000000000001,
        0x000FFFFFFFFFFFFF, 0x0010000000000000, 0x7FEFFFFFFFFFFFFF, 0xFFEFFFFFFFFFFFFF, 0x3FE0000000000000, 0x3FF8000000000000,
        0x41E0000000000000, 0xC1E0000000000000, 0x41DFFFFFFFC00000, 0x43E0000000000000, 0xC3E0000000000000, 0x4330000000000000,
        0x47EFFFFFE0000000, 0x47EFFFFFF0000000, 0x3810000000000000, 0x380FFFFFFFFFFFFF, 0x36A0000000000000, 0x3690000000000000,
    ];

    // Sign and exponent, significand: the last ones are encodings the x87 has not supported since the 387.
    private static readonly (ushort High, ulong Low)[] Extended =
    [
        (0, 0), (0x8000, 0), (0x3FFF, 0x8000000000000000), (0xBFFF, 0x8000000000000000), (0x7FFF, 0x8000000000000000),
        (0xFFFF, 0x8000000000000000), (0x7FFF, 0xC000000000000000), (0xFFFF, 0xC000000000000001), (0x7FFF, 0x8000000000000001),
        (0xFFFF, 0xA000000000000000), (0, 1), (0x8000, 0x7FFFFFFFFFFFFFFF), (0, 0x8000000000000000), (1, 0x8000000000000000),
        (0x7FFE, 0xFFFFFFFFFFFFFFFF), (0xFFFE, 0xFFFFFFFFFFFFFFFF), (0x3FFE, 0x8000000000000000), (0x4000, 0xC90FDAA22168C235),
        (0x3FFF, 0xC000000000000000), (0x401E, 0x8000000000000000), (0x403E, 0x8000000000000000), (0x403E, 0xFFFFFFFFFFFFFFFF),
        (0x3FBE, 0x8000000000000000), (0x403D, 0xFFFFFFFFFFFFFFFF), (0x400E, 0xFFFF000000000000), (0x3F80, 0x8000000000000000),
        (0x407F, 0x8000000000000000), (0x3C00, 0x8000000000000000), (0x3FFD, 0xAAAAAAAAAAAAAAAB),
        (0x3FFF, 0x4000000000000000), (0x7FFF, 0), (0x7FFF, 0x4000000000000000), (0xFFFF, 0x0000000000000001),
    ];

    internal static ulong Integer(DeterministicRandom random) => random.Below(4) switch
    {
        0 => random.Next(),
        1 => random.Next() >> random.Below(64),
        2 => random.Pick<ulong>(Integers) + (ulong)random.Below(3) - 1,
        _ => random.Pick<ulong>(Integers),
    };

    internal static uint Single(DeterministicRandom random) => random.Below(4) switch
    {
        0 => (uint)random.Next(),
        1 => BitConverter.SingleToUInt32Bits((float)((long)random.Next() >> random.Below(63)) / 16f),
        _ => random.Pick<uint>(Singles),
    };

    internal static ulong Double(DeterministicRandom random) => random.Below(4) switch
    {
        0 => random.Next(),
        1 => BitConverter.DoubleToUInt64Bits((double)((long)random.Next() >> random.Below(63)) / 16),
        _ => random.Pick<ulong>(Doubles),
    };

    /// <summary>Fills with integers, singles, doubles or, of 10 and more bytes, an extended number.</summary>
    internal static void Fill(DeterministicRandom random, Span<byte> bytes)
    {
        int kind = random.Below(bytes.Length >= 10 ? 5 : 4);
        if (kind == 4)
        {
            (ushort high, ulong low) = random.Pick<(ushort, ulong)>(Extended);
            if (random.OneIn(3))
            {
                (high, low) = ((ushort)(0x3FFF - 70 + random.Below(140)), random.Next() | (1UL << 63));
            }

            BitConverter.TryWriteBytes(bytes, low);
            BitConverter.TryWriteBytes(bytes[8..], high);
            bytes = bytes[10..];
            kind = 0;
        }

        Span<byte> buffer = stackalloc byte[8];
        while (bytes.Length > 0)
        {
            ulong value = kind switch
            {
                1 => Single(random) | ((ulong)Single(random) << 32),
                2 => Double(random),
                _ => Integer(random),
            };
            BitConverter.TryWriteBytes(buffer, value);
            int length = Math.Min(8, bytes.Length);
            buffer[..length].CopyTo(bytes);
            bytes = bytes[length..];
        }
    }

    /// <summary>One x87 register of 16 bytes; the last 6 are zero.</summary>
    internal static void FillExtended(DeterministicRandom random, Span<byte> bytes)
    {
        bytes.Clear();
        do
        {
            Fill(random, bytes[..10]);
        }
        while (random.OneIn(3) && bytes[9] != 0x3F && bytes[9] != 0xBF);
    }
}
