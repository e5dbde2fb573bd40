using Emulator.Devices;
using Emulator.Memory;

namespace Emulator.Boot;

/// <summary>
/// The ERST table: for each serialization action the instructions that make <see cref="Erst"/> do it.
/// Source: ACPI Specification 6.4 §18.5.1, tables 18.20–18.28.
/// </summary>
internal static class AcpiErstTable
{
    private const uint SerializationHeaderSize = 48;
    private const byte ReadRegister = 0, ReadRegisterValue = 1, WriteRegister = 2, WriteRegisterValue = 3;
    private const ulong ActionRegister = PhysicalLayout.ErstRegisters + Erst.ActionOffset;
    private const ulong ValueRegister = PhysicalLayout.ErstRegisters + Erst.ValueOffset;

    // Actions that only need to be said, that take a value first, and that give one.
    private static ReadOnlySpan<ErstAction> Plain =>
    [
        ErstAction.BeginWrite, ErstAction.BeginRead, ErstAction.BeginClear, ErstAction.EndOperation,
        ErstAction.ExecuteOperation, ErstAction.BeginDummyWrite,
    ];

    private static ReadOnlySpan<ErstAction> Taking => [ErstAction.SetRecordOffset, ErstAction.SetRecordIdentifier];

    private static ReadOnlySpan<ErstAction> Giving =>
    [
        ErstAction.GetCommandStatus, ErstAction.GetRecordIdentifier, ErstAction.GetRecordCount,
        ErstAction.GetErrorLogAddressRange, ErstAction.GetErrorLogAddressRangeLength,
        ErstAction.GetErrorLogAddressRangeAttributes, ErstAction.GetExecuteOperationTimings,
    ];

    public static byte[] Build()
    {
        var table = new AcpiTableWriter("ERST", 1);
        int entries = Plain.Length + (2 * Taking.Length) + (2 * Giving.Length) + 2;
        table.DWord(SerializationHeaderSize).DWord(0).DWord((uint)entries);
        foreach (ErstAction action in Plain)
        {
            Say(table, action, action);
        }

        foreach (ErstAction action in Taking)
        {
            Entry(table, action, WriteRegister, ValueRegister, 64, 0, ulong.MaxValue);
            Say(table, action, action);
        }

        foreach (ErstAction action in Giving)
        {
            Say(table, action, action);
            Entry(table, action, ReadRegister, ValueRegister, 64, 0, ulong.MaxValue);
        }

        // Busy is bit 0: the instruction compares.
        Say(table, ErstAction.CheckBusyStatus, ErstAction.CheckBusyStatus);
        Entry(table, ErstAction.CheckBusyStatus, ReadRegisterValue, ValueRegister, 64, 1, 1);
        return table.Finish();
    }

    private static void Say(AcpiTableWriter table, ErstAction action, ErstAction value) =>
        Entry(table, action, WriteRegisterValue, ActionRegister, 32, (ulong)value, 0xFF);

    private static void Entry(
        AcpiTableWriter table, ErstAction action, byte instruction, ulong register, byte bits, ulong value, ulong mask) =>
        table.Byte((byte)action).Byte(instruction).Byte(0).Byte(0).MemoryRegister(register, bits).QWord(value).QWord(mask);
}
