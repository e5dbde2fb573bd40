using Emulator.Time;

namespace Emulator.Devices;

/// <summary>
/// The 8254 at ports 40h–43h: counter 0 drives IRQ 0, counter 1 is the old memory refresh, counter 2 is gated through
/// <see cref="SystemControlPortB"/>. Its clock is 1.193182 MHz. Source: Intel 82C54 data sheet (order number 231244).
/// </summary>
internal sealed class Pit : BytePortDevice
{
    /// <summary>Hertz of the counters' clock.</summary>
    public const ulong Frequency = 1_193_182;

    private readonly VirtualClock clock;
    private readonly IrqLine irq;
    private readonly DeviceTimer timer;
    private readonly Oscillator oscillator = new(Frequency);
    private readonly PitCounter[] counters = [new(), new(), new()];

    public Pit(VirtualClock clock, EventQueue events, IrqLine irq)
    {
        this.clock = clock;
        this.irq = irq;
        timer = events.CreateTimer("PIT counter 0", UpdateOutput);
        Reset();
    }

    /// <summary>The clock's tick number now.</summary>
    public long Tick => (long)oscillator.Ticks(clock.Now);

    /// <summary>OUT of counter 2.</summary>
    public bool SpeakerOutput => counters[2].Output(Tick);

    /// <summary>GATE of counter 2.</summary>
    public bool SpeakerGate
    {
        get => counters[2].Gate;
        set => counters[2].SetGate(value, Tick);
    }

    public void Reset()
    {
        counters[0].Reset(gateLevel: true);
        counters[1].Reset(gateLevel: true);
        counters[2].Reset(gateLevel: false);
        timer.Disarm();
        irq.Set(false);
    }

    public PitState Save() => new(
        Counters: [counters[0].Save(), counters[1].Save(), counters[2].Save()],
        Irq: irq.Level,
        Deadline: timer.Deadline);

    public void Load(PitState state)
    {
        for (int i = 0; i < counters.Length; i++)
        {
            counters[i].Load(state.Counters[i]);
        }

        irq.Restore(state.Irq);
        timer.Arm(state.Deadline);
    }

    private protected override byte ReadRegister(int offset) => offset == 3 ? (byte)0xFF : counters[offset].Read(Tick);

    private protected override void WriteRegister(int offset, byte value)
    {
        long now = Tick;
        if (offset < 3)
        {
            counters[offset].WriteCount(value, now);
        }
        else if (value >> 6 == 3)
        {
            ReadBack(value, now);
        }
        else if ((value & 0x30) == 0)
        {
            counters[value >> 6].LatchCount(now);
        }
        else
        {
            counters[value >> 6].WriteControl(value);
        }

        if (offset == 0 || (offset == 3 && value >> 6 == 0))
        {
            UpdateOutput();
        }
    }

    private void ReadBack(byte value, long now)
    {
        for (int i = 0; i < counters.Length; i++)
        {
            if ((value & (2 << i)) == 0)
            {
                continue;
            }

            if ((value & 0x20) == 0)
            {
                counters[i].LatchCount(now);
            }

            if ((value & 0x10) == 0)
            {
                counters[i].LatchStatus(now);
            }
        }
    }

    private void UpdateOutput()
    {
        long now = Tick;
        irq.Set(counters[0].Output(now));
        long change = counters[0].NextChange(now);
        timer.Arm(change == PitCounter.Never ? EventQueue.Never : oscillator.Instant((ulong)change));
    }
}

/// <summary>Saved state of the PIT.</summary>
public sealed record PitState(PitCounterState[] Counters, bool Irq, ulong Deadline);
