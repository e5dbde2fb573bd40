namespace Bench.Stub;

/// <summary>A loop in real mode that calls a function, and memory of three kinds.</summary>
/// <param name="Noise">What cannot be told shorter.</param>
/// <param name="Kernel">A real kernel's; null where there is none.</param>
internal sealed record SmallGuest(byte[] Noise, byte[]? Kernel)
{
    /// <summary>Bytes of each kind.</summary>
    public const int MemoryBytes = 64 << 20;

    /// <summary>Where they lie; the zeros were never written.</summary>
    public const ulong NoiseAddress = 0x100_0000, ZerosAddress = 0x500_0000, KernelAddress = 0x900_0000;

    /// <summary>Where the loop is, and the function it calls.</summary>
    public const ulong LoopStart = 0x7C00, Function = 0x7C07;

    /// <summary>RAM of its machine, in MiB.</summary>
    public const int MemoryMiB = 256;

    /// <summary>loop: inc ecx; call f; jmp loop. f: nop; ret.</summary>
    public static ReadOnlySpan<byte> Code => [0x66, 0x41, 0xE8, 0x02, 0x00, 0xEB, 0xF9, 0x90, 0xC3];

    /// <summary>With the noise of a fixed seed.</summary>
    public static SmallGuest Make(KernelMemory? kernel)
    {
        byte[] noise = new byte[MemoryBytes];
        new Random(1).NextBytes(noise);
        return new SmallGuest(noise, kernel?.Bytes);
    }
}
