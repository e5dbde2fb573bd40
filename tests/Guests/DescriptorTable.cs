using System.Buffers.Binary;

namespace Guests;

/// <summary>Descriptor tables as bytes: SDM vol. 3A §3.4.5 (segments), §6.14.1 (64-bit gates), §7.7 (64-bit TSS).</summary>
internal static class DescriptorTable
{
    /// <summary>Eight-byte entries.</summary>
    public static byte[] Bytes(params ReadOnlySpan<ulong> entries)
    {
        var bytes = new byte[entries.Length * 8];
        for (int i = 0; i < entries.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * 8), entries[i]);
        }

        return bytes;
    }

    /// <summary>A 64-bit interrupt gate (type Eh) or trap gate (Fh); both halves.</summary>
    public static (ulong Low, ulong High) Gate(ulong handler, ushort selector = 8, int dpl = 0, int ist = 0, int type = 0xE, bool present = true) => (
        (handler & 0xFFFF) | ((ulong)selector << 16) | ((ulong)ist << 32) | ((ulong)type << 40) | ((ulong)dpl << 45)
            | (present ? 1UL << 47 : 0) | ((handler >> 16 & 0xFFFF) << 48),
        handler >> 32);

    /// <summary>An available 64-bit TSS; both halves.</summary>
    public static (ulong Low, ulong High) Tss(ulong address, uint limit) => (
        (limit & 0xFFFF) | ((address & 0xFF_FFFF) << 16) | (0x89UL << 40) | ((address >> 24 & 0xFF) << 56), address >> 32);
}
