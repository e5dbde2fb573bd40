using System.Buffers.Binary;
using System.Text;
using Emulator.Devices;
using Emulator.Memory;

namespace Emulator.Boot;

/// <summary>
/// Builds the ACPI tables that describe a <see cref="Chipset"/>: RSDP, RSDT, XSDT, FADT, FACS, MADT, HPET, ERST, DSDT.
/// Source: ACPI Specification 6.4 §5.2; IA-PC HPET Specification 1.0a §3.2.4.
/// </summary>
public static class AcpiTables
{
    private const int RsdpSize = 36, RsdpAreaSize = 64, FacsSize = 64;

    /// <summary>Builds them for <see cref="PhysicalLayout.AcpiTables"/>. Throws <see cref="ArgumentOutOfRangeException"/> for a number of processors it cannot tell.</summary>
    public static AcpiImage Build(AcpiOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.ProcessorCount, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.ProcessorCount, AcpiOptions.MaximumProcessors);

        const ulong Base = PhysicalLayout.AcpiTables;
        var image = new List<byte>(new byte[RsdpAreaSize]);
        var index = new List<(string Signature, int Offset, int Length)> { ("RSD PTR ", 0, RsdpSize) };

        // FACS first: it wants 64-byte alignment, which the RSDP's area has left.
        ulong facs = Place("FACS", Facs());
        ulong dsdt = Place("DSDT", AcpiDsdt.Build());
        ulong[] tables =
        [
            Place("FACP", Fadt((uint)facs, dsdt)),
            Place("APIC", Madt(options.ProcessorCount)),
            Place("HPET", HpetTable()),
            Place("ERST", AcpiErstTable.Build()),
        ];

        var rsdt = new AcpiTableWriter("RSDT", 1);
        var xsdt = new AcpiTableWriter("XSDT", 1);
        foreach (ulong table in tables)
        {
            rsdt.DWord((uint)table);
            xsdt.QWord(table);
        }

        ulong rsdtAddress = Place("RSDT", rsdt.Finish());
        ulong xsdtAddress = Place("XSDT", xsdt.Finish());
        byte[] bytes = image.ToArray();
        WriteRsdp(bytes, (uint)rsdtAddress, xsdtAddress);
        return new AcpiImage(Base, bytes, index.ToArray());

        ulong Place(string signature, byte[] table)
        {
            int offset = image.Count;
            index.Add((signature, offset, table.Length));
            image.AddRange(table);
            image.AddRange(new byte[-table.Length & 15]);
            return Base + (ulong)offset;
        }
    }

    /// <summary>§5.2.5.3: the first 20 bytes have a checksum of their own, as in ACPI 1.0.</summary>
    private static void WriteRsdp(Span<byte> bytes, uint rsdt, ulong xsdt)
    {
        Encoding.ASCII.GetBytes("RSD PTR ", bytes);
        Encoding.ASCII.GetBytes("GDBSTB", bytes[9..]);
        bytes[15] = 2;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[16..], rsdt);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[20..], RsdpSize);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[24..], xsdt);
        bytes[8] = AcpiTableWriter.Checksum(bytes[..20]);
        bytes[32] = AcpiTableWriter.Checksum(bytes[..RsdpSize]);
    }

    /// <summary>§5.2.10. It has no common header and no checksum.</summary>
    private static byte[] Facs()
    {
        byte[] table = new byte[FacsSize];
        Encoding.ASCII.GetBytes("FACS", table);
        BinaryPrimitives.WriteUInt32LittleEndian(table.AsSpan(4), FacsSize);
        table[32] = 2;
        return table;
    }

    /// <summary>§5.2.9, revision 6.</summary>
    private static byte[] Fadt(uint facs, ulong dsdt)
    {
        const ushort LegacyDevices = 1, KeyboardController = 2, NoVga = 4;
        const uint Wbinvd = 1 << 0, C1 = 1 << 2, NoSleepButton = 1 << 5, ClockWakeNotFixed = 1 << 6, Timer32 = 1 << 8, ResetRegister = 1 << 10;

        // Latencies beyond 100 and 1000 µs say that there are no C2 and C3 states.
        const ushort NoC2 = 0x0FFF, NoC3 = 0x0FFF;
        const byte DesktopProfile = 1, CenturyIndex = 0x32;

        var table = new AcpiTableWriter("FACP", 6);
        table.DWord(facs).DWord((uint)dsdt).Byte(0).Byte(DesktopProfile).Word(AcpiPowerManagement.SciIrq);
        table.DWord(AcpiPowerManagement.SmiCommandPort)
            .Byte(AcpiPowerManagement.EnableCommand).Byte(AcpiPowerManagement.DisableCommand).Byte(0).Byte(0);
        table.DWord(AcpiPowerManagement.Pm1EventPort).DWord(0).DWord(AcpiPowerManagement.Pm1ControlPort).DWord(0).DWord(0)
            .DWord(AcpiPowerManagement.TimerPort).DWord(0).DWord(0);
        table.Byte(4).Byte(2).Byte(0).Byte(4).Byte(0).Byte(0).Byte(0).Byte(0);
        table.Word(NoC2).Word(NoC3).Word(0).Word(0).Byte(0).Byte(0).Byte(0).Byte(0).Byte(CenturyIndex);
        table.Word(LegacyDevices | KeyboardController | NoVga).Byte(0);
        table.DWord(Wbinvd | C1 | NoSleepButton | ClockWakeNotFixed | Timer32 | ResetRegister);
        table.PortRegister(AcpiPowerManagement.ResetPort, 8).Byte(AcpiPowerManagement.ResetValue);
        table.Word(0).Byte(4);

        // The 64-bit pointers: the FACS is named by the 32-bit one alone, the DSDT by both.
        table.QWord(0).QWord(dsdt);
        table.PortRegister(AcpiPowerManagement.Pm1EventPort, 32).Zeros(12);
        table.PortRegister(AcpiPowerManagement.Pm1ControlPort, 16).Zeros(12);
        table.Zeros(12).PortRegister(AcpiPowerManagement.TimerPort, 32);
        table.Zeros(12).Zeros(12);
        table.Zeros(12).Zeros(12);
        table.QWord(0);
        return table.Finish();
    }

    /// <summary>§5.2.12.</summary>
    private static byte[] Madt(int processors)
    {
        const uint PcAtCompatible = 1;
        const byte AllProcessors = 0xFF;
        const ushort LevelActiveHigh = 0x0D;

        var table = new AcpiTableWriter("APIC", 5);
        table.DWord((uint)PhysicalLayout.LocalApic).DWord(PcAtCompatible);
        for (int i = 0; i < processors; i++)
        {
            table.Byte(0).Byte(8).Byte((byte)i).Byte((byte)i).DWord(1);
        }

        table.Byte(1).Byte(12).Byte(0).Byte(0).DWord((uint)PhysicalLayout.IoApic).DWord(0);
        table.Byte(2).Byte(10).Byte(0).Byte(0).DWord(2).Word(0);
        table.Byte(2).Byte(10).Byte(0).Byte(AcpiPowerManagement.SciIrq).DWord(AcpiPowerManagement.SciIrq).Word(LevelActiveHigh);
        table.Byte(4).Byte(6).Byte(AllProcessors).Word(0).Byte(1);
        return table.Finish();
    }

    private static byte[] HpetTable() => new AcpiTableWriter("HPET", 1)
        .DWord(Hpet.CapabilitiesLow).MemoryRegister(PhysicalLayout.Hpet, 64).Byte(0).Word(0x80).Byte(0).Finish();
}
