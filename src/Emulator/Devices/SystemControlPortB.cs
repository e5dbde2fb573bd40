namespace Emulator.Devices;

/// <summary>
/// Port 61h: the speaker's gate and output, the refresh toggle, and the enables of NMI sources this machine does not
/// have. Source: Intel 82371SB (PIIX3) data sheet §2.5.4 "NMISC".
/// </summary>
internal sealed class SystemControlPortB(Pit pit) : BytePortDevice
{
    // Counter 1 counted 18 ticks from one refresh to the next (IBM PC AT BIOS).
    private const long RefreshTicks = 18;

    // Speaker data, SERR# and IOCHK# enables; the gate lives in the PIT.
    private byte enables;

    public void Reset() => enables = 0;

    public SystemControlPortBState Save() => new(Enables: enables);

    public void Load(SystemControlPortBState state) => enables = state.Enables;

    private protected override byte ReadRegister(int offset) => (byte)(
        enables
        | (pit.SpeakerGate ? 1 : 0)
        | ((pit.Tick / RefreshTicks % 2) != 0 ? 0x10 : 0)
        | (pit.SpeakerOutput ? 0x20 : 0));

    private protected override void WriteRegister(int offset, byte value)
    {
        enables = (byte)(value & 0x0E);
        pit.SpeakerGate = (value & 1) != 0;
    }
}

/// <summary>Saved state of port 61h.</summary>
public sealed record SystemControlPortBState(byte Enables);
