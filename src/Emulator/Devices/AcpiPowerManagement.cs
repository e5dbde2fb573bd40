using Emulator.Time;

namespace Emulator.Devices;

/// <summary>
/// ACPI's fixed hardware: PM1 event and control blocks, the power management timer, the command port that stands for
/// an SMI, and the reset register. Source: ACPI Specification 6.4 §4.8.3 "Fixed Hardware Registers", §5.2.9 "FADT".
/// </summary>
public sealed class AcpiPowerManagement
{
    /// <summary>First port of the register block; what follows is at the offsets below.</summary>
    public const ushort PortBase = 0x600;

    /// <summary>Ports of the register block.</summary>
    public const int PortCount = 0x10;

    /// <summary>PM1a_EVT_BLK: status, then enable, 2 bytes each.</summary>
    public const ushort Pm1EventPort = PortBase;

    /// <summary>PM1a_CNT_BLK, 2 bytes.</summary>
    public const ushort Pm1ControlPort = PortBase + 4;

    /// <summary>PM_TMR_BLK, 4 bytes.</summary>
    public const ushort TimerPort = PortBase + 8;

    /// <summary>The FADT's reset register: a port nothing else uses, so that a reset through it can be told from one through CF9h.</summary>
    public const ushort ResetPort = PortBase + 12;

    /// <summary>What resets when written there.</summary>
    public const byte ResetValue = 1;

    /// <summary>SMI_CMD; the port after it is scratch, as on Intel's chipsets.</summary>
    public const ushort SmiCommandPort = 0xB2;

    /// <summary>ACPI_ENABLE.</summary>
    public const byte EnableCommand = 0xF1;

    /// <summary>ACPI_DISABLE.</summary>
    public const byte DisableCommand = 0xF0;

    /// <summary>SLP_TYP of the soft-off state, as \_S5 names it.</summary>
    public const byte SoftOffSleepType = 5;

    /// <summary>The ISA interrupt the SCI uses: level-triggered.</summary>
    public const int SciIrq = 9;

    /// <summary>Hertz of the power management timer.</summary>
    public const ulong TimerFrequency = 3_579_545;

    private const ushort TimerStatus = 0x0001, PowerButtonStatus = 0x0100;
    private const ushort StatusBits = TimerStatus | 0x0020 | PowerButtonStatus | 0x8000;
    // RTC_EN only stores: the FADT says that the clock does not wake through here (FIX_RTC), and Linux enables it all the same.
    private const ushort ClockEnable = 0x0400;
    private const ushort EnableBits = TimerStatus | 0x0020 | PowerButtonStatus | ClockEnable;
    private const ushort SciEnable = 1, SleepEnable = 0x2000, ControlBits = 0x1C02;

    private readonly VirtualClock clock;
    private readonly IrqLine sci;
    private readonly IMachineSignals signals;
    private readonly DeviceTimer timer;
    private readonly Oscillator oscillator = new(TimerFrequency);
    private ushort status;
    private ushort enable;
    private ushort control;
    private byte commandData;
    private ulong halfTurns;

    internal AcpiPowerManagement(VirtualClock clock, EventQueue events, IrqLine sci, IMachineSignals signals)
    {
        this.clock = clock;
        this.sci = sci;
        this.signals = signals;
        timer = events.CreateTimer("ACPI PM timer", Update);
        Registers = new RegisterPorts(this);
        CommandPorts = new SmiPorts(this);
        Reset();
    }

    /// <summary><see cref="PortCount"/> ports at <see cref="PortBase"/>.</summary>
    internal IPortDevice Registers { get; }

    /// <summary>Two ports at <see cref="SmiCommandPort"/>.</summary>
    internal IPortDevice CommandPorts { get; }

    /// <summary>The guest has switched from legacy to ACPI mode (SCI_EN).</summary>
    public bool AcpiEnabled => (control & SciEnable) != 0;

    /// <summary>How often the timer's top bit has changed: TMR_STS marks each change.</summary>
    private ulong HalfTurns => oscillator.Ticks(clock.Now) >> 31;

    /// <summary>The power button is pressed and released: an operating system with ACPI shuts down.</summary>
    public void PressPowerButton()
    {
        status |= PowerButtonStatus;
        Update();
    }

    internal void Reset()
    {
        status = enable = control = 0;
        commandData = 0;
        halfTurns = HalfTurns;
        Update();
    }

    internal AcpiPowerManagementState Save() => new(
        Status: status,
        Enable: enable,
        Control: control,
        CommandData: commandData,
        HalfTurns: halfTurns,
        Sci: sci.Level,
        Deadline: timer.Deadline);

    internal void Load(AcpiPowerManagementState state)
    {
        status = state.Status;
        enable = state.Enable;
        control = state.Control;
        commandData = state.CommandData;
        halfTurns = state.HalfTurns;
        sci.Restore(state.Sci);
        timer.Arm(state.Deadline);
    }

    private void Update()
    {
        ulong turns = HalfTurns;
        if (turns != halfTurns)
        {
            status |= TimerStatus;
            halfTurns = turns;
        }

        sci.Set(AcpiEnabled && (status & enable) != 0);
        bool wanted = (enable & TimerStatus) != 0 && (status & TimerStatus) == 0;
        timer.Arm(wanted ? oscillator.Instant((turns + 1) << 31) : EventQueue.Never);
    }

    private byte Read(int offset)
    {
        switch (offset)
        {
            case 0 or 1:
                Update();
                return (byte)(status >> (8 * offset));
            case 2 or 3:
                return (byte)(enable >> (8 * (offset - 2)));
            case 4 or 5:
                return (byte)(control >> (8 * (offset - 4)));
            default:
                return 0;
        }
    }

    private void Write(int offset, byte value)
    {
        switch (offset)
        {
            case 0 or 1:
                Update();
                status &= (ushort)~((value << (8 * offset)) & StatusBits);
                break;
            case 2 or 3:
                enable = (ushort)(Replace(enable, offset - 2, value) & EnableBits);
                break;
            case 4 or 5:
                WriteControl(Replace(control, offset - 4, value));
                break;
            case ResetPort - PortBase when value == ResetValue:
                signals.RequestReset(ResetCause.AcpiResetRegister);
                break;
        }

        Update();
    }

    private void WriteControl(ushort value)
    {
        // SCI_EN is the platform's to change, through the command port.
        control = (ushort)((value & ControlBits) | (control & SciEnable));
        if ((value & SleepEnable) != 0 && ((value >> 10) & 7) == SoftOffSleepType)
        {
            signals.RequestPowerOff();
        }
    }

    private void WriteCommand(byte value)
    {
        switch (value)
        {
            case EnableCommand:
                control |= SciEnable;
                break;
            case DisableCommand:
                control &= unchecked((ushort)~SciEnable);
                break;
        }

        Update();
    }

    private static ushort Replace(ushort word, int index, byte value) =>
        (ushort)((word & ~(0xFF << (8 * index))) | (value << (8 * index)));

    private sealed class RegisterPorts(AcpiPowerManagement owner) : IPortDevice
    {
        public uint ReadPort(ushort offset, int size)
        {
            // The timer is read whole: bytes taken one after another would not belong together.
            uint count = (uint)owner.oscillator.Ticks(owner.clock.Now);
            uint value = 0;
            for (int i = 0; i < size; i++)
            {
                int at = offset + i;
                uint part = at is >= 8 and < 12 ? (count >> (8 * (at - 8))) & 0xFF : owner.Read(at);
                value |= part << (8 * i);
            }

            return value;
        }

        public void WritePort(ushort offset, int size, uint value)
        {
            // The control word's sleep type and enable bits share its upper byte, so bytes in turn do what the word does.
            for (int i = 0; i < size; i++)
            {
                owner.Write(offset + i, (byte)(value >> (8 * i)));
            }
        }
    }

    private sealed class SmiPorts(AcpiPowerManagement owner) : BytePortDevice
    {
        private protected override byte ReadRegister(int offset) => offset == 0 ? (byte)0 : owner.commandData;

        private protected override void WriteRegister(int offset, byte value)
        {
            if (offset == 0)
            {
                owner.WriteCommand(value);
            }
            else
            {
                owner.commandData = value;
            }
        }
    }
}

/// <summary>Saved state of ACPI's fixed hardware.</summary>
public sealed record AcpiPowerManagementState(
    ushort Status,
    ushort Enable,
    ushort Control,
    byte CommandData,
    ulong HalfTurns,
    bool Sci,
    ulong Deadline);
