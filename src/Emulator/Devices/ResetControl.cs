namespace Emulator.Devices;

/// <summary>
/// The reset control register CF9h: bit 2's rising edge resets, bits 1 and 3 say how hard, which makes no difference here.
/// Source: Intel 82371SB (PIIX3) data sheet §2.5.7 "RC". It lies inside the PCI configuration ports, which pass it on.
/// </summary>
internal sealed class ResetControl(IMachineSignals signals)
{
    private const byte Writable = 0x0E, ResetCpu = 4;

    private byte value;

    public byte Read() => value;

    public void Write(byte written)
    {
        bool rises = (written & ~value & ResetCpu) != 0;
        value = (byte)(written & Writable);
        if (rises)
        {
            signals.RequestReset(ResetCause.PortCf9);
        }
    }

    public void Reset() => value = 0;

    public ResetControlState Save() => new(Value: value);

    public void Load(ResetControlState state) => value = state.Value;
}

/// <summary>Saved state of CF9h.</summary>
public sealed record ResetControlState(byte Value);
