using Emulator.Devices;
using Emulator.Memory;
using static Emulator.Boot.AcpiAml;

namespace Emulator.Boot;

/// <summary>
/// The DSDT: which devices stand where, and how to switch off. There is no code in it, only names.
/// Source: ACPI Specification 6.4 §5.6, §6.1, §7.4.2.5 (\_S5), device identifiers of Plug and Play.
/// </summary>
internal static class AcpiDsdt
{
    public static byte[] Build()
    {
        byte[] softOff = Name("_S5_", Package(
            Integer(AcpiPowerManagement.SoftOffSleepType), Integer(AcpiPowerManagement.SoftOffSleepType), Integer(0), Integer(0)));

        byte[] devices = Scope(
            "_SB_",
            PciRoot(),
            SerialPort("COM1", 1, 0x3F8, 4),
            SerialPort("COM2", 2, 0x2F8, 3),
            Device("PIC_", Name("_HID", EisaId("PNP0000")), Name("_CRS", ResourceTemplate(
                Ports(0x20, 2), Ports(0xA0, 2), Ports(0x4D0, 2), Irq(2)))),
            Device("TIMR", Name("_HID", EisaId("PNP0100")), Name("_CRS", ResourceTemplate(Ports(0x40, 4), Irq(0)))),
            Device("RTC_", Name("_HID", EisaId("PNP0B00")), Name("_CRS", ResourceTemplate(Ports(0x70, 2), Irq(8)))),
            Device("KBD_", Name("_HID", EisaId("PNP0303")), Name("_CRS", ResourceTemplate(Ports(0x60, 1), Ports(0x64, 1), Irq(1)))),
            Device("SPKR", Name("_HID", EisaId("PNP0800")), Name("_CRS", ResourceTemplate(Ports(0x61, 1)))),
            Device("HPET", Name("_HID", EisaId("PNP0103")), Name("_CRS", ResourceTemplate(FixedMemory((uint)PhysicalLayout.Hpet, 0x400)))),
            Device("PEVT", Name("_HID", Text("QEMU0001")), Name("_STA", Integer(0x0F)), Name("_CRS", ResourceTemplate(
                Ports(PvPanic.Port, 1)))),
            Device("MBRD", Name("_HID", EisaId("PNP0C02")), Name("_CRS", ResourceTemplate(
                Ports(0x80, 1), Ports(0x92, 1),
                Ports(AcpiPowerManagement.SmiCommandPort, 2),
                Ports(AcpiPowerManagement.PortBase, AcpiPowerManagement.PortCount)))));

        return new AcpiTableWriter("DSDT", 2).Raw(softOff).Raw(devices).Finish();
    }

    private static byte[] PciRoot() => Device(
        "PCI0",
        Name("_HID", EisaId("PNP0A03")),
        Name("_UID", Integer(0)),
        Name("_CRS", ResourceTemplate(
            BusWindow(0, 0xFF),
            Ports(0xCF8, 8),
            PortWindow(0, 0xCF7),
            PortWindow(0xD00, 0xFFFF),
            MemoryWindow((uint)PhysicalLayout.VgaStart, (uint)PhysicalLayout.VgaEnd - 1),
            MemoryWindow((uint)PhysicalLayout.LowRamLimit, (uint)PhysicalLayout.IoApic - 1))));

    private static byte[] SerialPort(string name, uint number, ushort port, int irq) => Device(
        name,
        Name("_HID", EisaId("PNP0501")),
        Name("_UID", Integer(number)),
        Name("_STA", Integer(0x0F)),
        Name("_CRS", ResourceTemplate(Ports(port, Uart.PortCount), Irq(irq))));
}
