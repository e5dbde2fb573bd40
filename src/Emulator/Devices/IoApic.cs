namespace Emulator.Devices;

/// <summary>
/// The I/O APIC: 24 inputs, each turned into a message by its redirection entry. A wire that is high asks for service,
/// whatever its entry's polarity bit says: devices here have no active-low wires.
/// Source: Intel 82093AA data sheet (order number 290566); EOI register at 40h: ICH9 data sheet §13.5.
/// </summary>
internal sealed class IoApic : IMmioDevice
{
    /// <summary>Inputs.</summary>
    public const int PinCount = 24;

    private const uint Version = ((PinCount - 1) << 16) | 0x20;
    private const ulong Masked = 0x1_0000, LevelTriggered = 0x8000, RemoteIrr = 0x4000, Logical = 0x800;
    private const ulong ReadOnly = RemoteIrr | 0x1000;
    private const ulong Implemented = 0xFF00_0000_0001_FFFF;

    private readonly ApicBus bus;
    private readonly ulong[] entries = new ulong[PinCount];
    private uint levels;
    private uint id;
    private byte select;

    public IoApic(ApicBus bus)
    {
        this.bus = bus;
        Reset();
    }

    /// <summary>Drives an input. A masked input's edges are lost (data sheet §3.2.4, "Interrupt Mask").</summary>
    public void SetPin(int pin, bool high)
    {
        uint bit = 1U << pin;
        bool rises = high && (levels & bit) == 0;
        levels = high ? levels | bit : levels & ~bit;
        if (rises && (entries[pin] & Masked) == 0)
        {
            if ((entries[pin] & LevelTriggered) != 0)
            {
                ServeLevel(pin);
            }
            else
            {
                Send(pin);
            }
        }
    }

    /// <summary>A local APIC finished a level-triggered vector: inputs still high ask again.</summary>
    public void EndOfInterrupt(byte vector)
    {
        for (int pin = 0; pin < PinCount; pin++)
        {
            if ((entries[pin] & RemoteIrr) != 0 && (byte)entries[pin] == vector)
            {
                entries[pin] &= ~RemoteIrr;
                ServeLevel(pin);
            }
        }
    }

    public ulong ReadMmio(ulong offset, int size)
    {
        uint value = (offset & ~3UL) switch
        {
            0x00 => select,
            0x10 => ReadSelected(),
            _ => 0,
        };
        return value >> (8 * (int)(offset & 3)) & (size >= 4 ? uint.MaxValue : (1U << (8 * size)) - 1);
    }

    public void WriteMmio(ulong offset, int size, ulong value)
    {
        switch (offset)
        {
            case 0x00:
                select = (byte)value;
                break;
            case 0x10 when size >= 4:
                WriteSelected((uint)value);
                break;
            case 0x40:
                EndOfInterrupt((byte)value);
                break;
        }
    }

    /// <summary>After RESET: every entry masked. The wires stay as their devices drive them.</summary>
    public void Reset()
    {
        entries.AsSpan().Fill(Masked);
        id = 0;
        select = 0;
    }

    public IoApicState Save() => new(Entries: (ulong[])entries.Clone(), Levels: levels, Id: id, Select: select);

    public void Load(IoApicState state)
    {
        state.Entries.AsSpan(0, PinCount).CopyTo(entries);
        levels = state.Levels;
        id = state.Id;
        select = state.Select;
    }

    private uint ReadSelected()
    {
        switch (select)
        {
            case 0 or 2:
                return id;
            case 1:
                return Version;
            case >= 0x10 and < 0x10 + (2 * PinCount):
                ulong entry = entries[(select - 0x10) / 2];
                return (uint)((select & 1) == 0 ? entry : entry >> 32);
            default:
                return 0;
        }
    }

    private void WriteSelected(uint value)
    {
        if (select == 0)
        {
            id = value & 0x0F00_0000;
            return;
        }

        if (select is < 0x10 or >= 0x10 + (2 * PinCount))
        {
            return;
        }

        int pin = (select - 0x10) / 2;
        ulong before = entries[pin];
        ulong written = (select & 1) == 0 ? (before & 0xFFFF_FFFF_0000_0000) | value : (before & 0xFFFF_FFFF) | ((ulong)value << 32);
        ulong entry = (written & Implemented & ~ReadOnly) | (before & ReadOnly);
        if ((entry & LevelTriggered) == 0)
        {
            // Remote IRR means nothing for an edge, and drivers switch to edge and back to clear it.
            entry &= ~RemoteIrr;
        }

        entries[pin] = entry;
        ServeLevel(pin);
    }

    private void ServeLevel(int pin)
    {
        ulong entry = entries[pin];
        if ((entry & (Masked | LevelTriggered | RemoteIrr)) == LevelTriggered && (levels & (1U << pin)) != 0)
        {
            // Before the message: the target may finish it at once.
            entries[pin] |= RemoteIrr;
            if (!Send(pin))
            {
                entries[pin] &= ~RemoteIrr;
            }
        }
    }

    private bool Send(int pin)
    {
        ulong entry = entries[pin];
        return bus.Deliver(new InterruptMessage(
            (DeliveryMode)((entry >> 8) & 7),
            (byte)entry,
            (entry & LevelTriggered) != 0,
            (entry & Logical) != 0,
            (uint)(entry >> 56),
            Wide: false));
    }
}

/// <summary>Saved state of the I/O APIC.</summary>
public sealed record IoApicState(ulong[] Entries, uint Levels, uint Id, byte Select);
