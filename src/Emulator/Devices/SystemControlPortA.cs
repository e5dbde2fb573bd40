namespace Emulator.Devices;

/// <summary>
/// Port 92h: bit 0 a fast reset on its rising edge, bit 1 the A20 gate. Source: IBM PS/2 Hardware Interface Technical
/// Reference, "System Control Port A". The other bits are memory.
/// </summary>
internal sealed class SystemControlPortA(IMachineSignals signals) : BytePortDevice
{
    private byte value;

    /// <summary>Bit 1.</summary>
    public bool A20 => (value & 2) != 0;

    public void Reset() => value = 2;

    public SystemControlPortAState Save() => new(Value: value);

    public void Load(SystemControlPortAState state) => value = state.Value;

    private protected override byte ReadRegister(int offset) => value;

    private protected override void WriteRegister(int offset, byte written)
    {
        bool rises = (written & ~value & 1) != 0;
        value = written;
        if (rises)
        {
            signals.RequestReset(ResetCause.Port92);
        }
    }
}

/// <summary>Saved state of port 92h.</summary>
public sealed record SystemControlPortAState(byte Value);
