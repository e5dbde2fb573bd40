namespace Emulator.Cpu;

/// <summary>
/// CPUID: an x86-64-v2 CPU of family 6. Each bit stands for instructions <see cref="CpuFeatures"/> offers or for
/// behaviour the vCPU has. Source: SDM vol. 2A, CPUID.
/// </summary>
internal static unsafe class CpuIdentity
{
    /// <summary>Family 6, model 2Ch: the generation whose instruction set this is.</summary>
    internal const uint Signature = 0x206C2;

    private const uint HighestBasic = 0x16, HighestHypervisor = 0x4000_0000, HighestExtended = 0x8000_0008;

    private const uint FeaturesEdx = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 11 | 1 << 12
        | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 17 | 1 << 19 | 1 << 23 | 1 << 24 | 1 << 25 | 1 << 26;

    private const uint FeaturesEcx = 1 << 0 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 21 | 1 << 23 | 1 << 24 | 1 << 26 | 1 << 30 | 1u << 31;

    // FSGSBASE, SMEP, ERMS, FCS/FDS deprecated, SMAP; UMIP; FSRM, ARCH_CAPABILITIES.
    private const uint StructuredEbx = 1u << 0 | 1 << 7 | 1 << 9 | 1 << 13 | 1 << 20;
    private const uint StructuredEcx = 1u << 2;
    private const uint StructuredEdx = 1 << 4 | 1 << 29;

    private static ReadOnlySpan<byte> Vendor => "GenuineIntel"u8;

    private static ReadOnlySpan<byte> Hypervisor => "GdbStub VM  "u8;

    private static ReadOnlySpan<byte> Brand => "GdbStub virtual CPU x86-64-v2 @ 1.00GHz"u8;

    internal static (uint Eax, uint Ebx, uint Ecx, uint Edx) Leaf(Vcpu cpu, uint leaf, uint subleaf)
    {
        CpuState* s = cpu.State;
        if (leaf > HighestBasic && leaf - 0x4000_0000 > HighestHypervisor - 0x4000_0000 && leaf - 0x8000_0000 > HighestExtended - 0x8000_0000)
        {
            leaf = HighestBasic;
        }

        uint apicId = cpu.Apic.Id;
        switch (leaf)
        {
            case 0:
                (uint b, uint c, uint d) = Words(Vendor);
                return (HighestBasic, b, d, c);
            case 1:
                uint osxsave = (s->Cr4 & ControlRegisters.OsXsave) != 0 ? 1u << 27 : 0;
                return (Signature, (8 << 8) | ((uint)cpu.CpuCount << 16) | (apicId << 24), FeaturesEcx | osxsave, FeaturesEdx);
            case 4:
                return subleaf switch
                {
                    0 => (0x121, Cache(8, 64), 63, 0),
                    1 => (0x122, Cache(8, 64), 63, 0),
                    2 => (0x143, Cache(8, 64), 511, 0),
                    _ => default,
                };
            case 7:
                return subleaf == 0 ? (0u, StructuredEbx, StructuredEcx, StructuredEdx) : default;
            case 0xB:
                int shift = System.Numerics.BitOperations.Log2((uint)Math.Max(1, (cpu.CpuCount * 2) - 1));
                return subleaf switch
                {
                    0 => (0, 1, 0x100, apicId),
                    1 => ((uint)shift, (uint)cpu.CpuCount, 0x201, apicId),
                    _ => (0, 0, subleaf & 0xFF, apicId),
                };
            case 0xD:
                return subleaf switch { 0 => (3, 576, 576, 0), _ => default };
            case 0x15:
                // The crystal is the time-stamp counter: 1 GHz.
                return (1, 1, 1_000_000_000, 0);
            case 0x16:
                return (1000, 1000, 100, 0);
            case 0x4000_0000:
                (uint hb, uint hc, uint hd) = Words(Hypervisor);
                return (HighestHypervisor, hb, hc, hd);
            case 0x8000_0000:
                return (HighestExtended, 0, 0, 0);
            case 0x8000_0001:
                // SYSCALL shows in 64-bit mode only, as on the CPUs this one follows.
                uint syscall = cpu.IsLong ? 1u << 11 : 0;
                return (0, 0, 1 | 1 << 8, syscall | 1 << 20 | 1 << 26 | 1 << 27 | 1 << 29);
            case 0x8000_0002 or 0x8000_0003 or 0x8000_0004:
                return BrandWords((int)(leaf - 0x8000_0002));
            case 0x8000_0006:
                return (0, 0, 0x0100_6040, 0);
            case 0x8000_0007:
                return (0, 0, 0, 1 << 8);
            case 0x8000_0008:
                return (Paging.PhysicalBits | 48 << 8, 0, 0, 0);
            default:
                return default;
        }
    }

    private static uint Cache(uint ways, uint line) => ((ways - 1) << 22) | (line - 1);

    private static (uint First, uint Second, uint Third) Words(ReadOnlySpan<byte> text) =>
        (BitConverter.ToUInt32(text), BitConverter.ToUInt32(text[4..]), BitConverter.ToUInt32(text[8..]));

    private static (uint, uint, uint, uint) BrandWords(int part)
    {
        Span<byte> text = stackalloc byte[48];
        text.Clear();
        Brand.CopyTo(text);
        text = text[(part * 16)..];
        return (BitConverter.ToUInt32(text), BitConverter.ToUInt32(text[4..]), BitConverter.ToUInt32(text[8..]), BitConverter.ToUInt32(text[12..]));
    }
}
