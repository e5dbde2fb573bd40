namespace Emulator.Devices;

/// <summary>
/// The pvpanic port: a read tells which events can be reported, a write reports them.
/// Source: QEMU docs/specs/pvpanic.rst.
/// </summary>
internal sealed class PvPanic(IMachineSignals signals) : BytePortDevice
{
    /// <summary>The customary port.</summary>
    public const ushort Port = 0x505;

    /// <summary>Bit 0 panicked, bit 1 crash kernel loaded.</summary>
    public const byte SupportedEvents = 3;

    private protected override byte ReadRegister(int offset) => SupportedEvents;

    private protected override void WriteRegister(int offset, byte value)
    {
        if ((value & SupportedEvents) != 0)
        {
            signals.PvPanic((byte)(value & SupportedEvents));
        }
    }
}
