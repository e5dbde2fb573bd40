namespace Emulator.Devices;

/// <summary>
/// The i8042 at ports 60h and 64h with one keyboard and an empty auxiliary port. It answers at once.
/// Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller" (1990).
/// </summary>
internal sealed class KeyboardController
{
    private const byte OutputFull = 1, SystemFlag = 4, LastWasCommand = 8, KeyLock = 0x10, FromAuxiliary = 0x20, TimeOut = 0x40;
    private const byte KeyboardInterrupt = 1, AuxiliaryInterrupt = 2, KeyboardDisabled = 0x10, AuxiliaryDisabled = 0x20, Translate = 0x40;
    private const byte OutputReset = 1, OutputA20 = 2;

    private readonly IrqLine keyboardIrq;
    private readonly IrqLine auxiliaryIrq;
    private readonly IMachineSignals signals;
    private readonly byte[] memory = new byte[32];
    private byte status;
    private byte output;
    private byte outputPort;
    private byte expecting;
    private bool breakPrefix;

    public KeyboardController(IrqLine keyboardIrq, IrqLine auxiliaryIrq, IMachineSignals signals)
    {
        this.keyboardIrq = keyboardIrq;
        this.auxiliaryIrq = auxiliaryIrq;
        this.signals = signals;
        DataPort = new Port(this, isCommand: false);
        CommandPort = new Port(this, isCommand: true);
        Reset();
    }

    /// <summary>Port 60h.</summary>
    public IPortDevice DataPort { get; }

    /// <summary>Port 64h.</summary>
    public IPortDevice CommandPort { get; }

    /// <summary>The keyboard that is plugged in.</summary>
    public Keyboard Keyboard { get; } = new();

    /// <summary>Output port bit 1.</summary>
    public bool A20
    {
        get => (outputPort & OutputA20) != 0;
        set => outputPort = (byte)(value ? outputPort | OutputA20 : outputPort & ~OutputA20);
    }

    /// <summary>A key's scan code (set 2) from the keyboard; false when it was lost.</summary>
    public bool Key(ReadOnlySpan<byte> scanCode)
    {
        bool taken = Keyboard.Key(scanCode);
        TakeFromKeyboard();
        return taken;
    }

    public void Reset()
    {
        memory.AsSpan().Clear();
        status = SystemFlag | KeyLock;
        output = 0;
        outputPort = OutputReset | OutputA20 | 0xCC;
        expecting = 0;
        breakPrefix = false;
        Command = SystemFlag | KeyboardDisabled | AuxiliaryDisabled;
        Keyboard.Reset();
        UpdateInterrupts();
    }

    /// <summary>What a BIOS leaves: keyboard on, translated to scan code set 1, interrupting.</summary>
    public void InitializeAsFirmware() => Command = KeyboardInterrupt | SystemFlag | AuxiliaryDisabled | Translate;

    public KeyboardControllerState Save() => new(
        Memory: (byte[])memory.Clone(),
        Status: status,
        Output: output,
        OutputPort: outputPort,
        Expecting: expecting,
        BreakPrefix: breakPrefix,
        Keyboard: Keyboard.Save(),
        KeyboardIrq: keyboardIrq.Level,
        AuxiliaryIrq: auxiliaryIrq.Level);

    public void Load(KeyboardControllerState state)
    {
        state.Memory.AsSpan(0, Math.Min(state.Memory.Length, memory.Length)).CopyTo(memory);
        status = state.Status;
        output = state.Output;
        outputPort = state.OutputPort;
        expecting = state.Expecting;
        breakPrefix = state.BreakPrefix;
        Keyboard.Load(state.Keyboard);
        keyboardIrq.Restore(state.KeyboardIrq);
        auxiliaryIrq.Restore(state.AuxiliaryIrq);
    }

    // The command byte is the first byte of the controller's memory.
    private ref byte Command => ref memory[0];

    private byte ReadData()
    {
        byte value = output;
        status &= unchecked((byte)~(OutputFull | FromAuxiliary | TimeOut));
        UpdateInterrupts();
        TakeFromKeyboard();
        return value;
    }

    private void WriteData(byte value)
    {
        status &= unchecked((byte)~LastWasCommand);
        byte command = expecting;
        expecting = 0;
        switch (command)
        {
            case >= 0x60 and <= 0x7F:
                memory[command & 0x1F] = value;
                UpdateSystemFlag();
                UpdateInterrupts();
                TakeFromKeyboard();
                break;
            case 0xD1:
                WriteOutputPort(value);
                break;
            case 0xD2:
                Put(value, auxiliary: false);
                break;
            case 0xD3:
                Put(value, auxiliary: true);
                break;
            case 0xD4:
                // Nothing is plugged in there: the controller's answer to a device that keeps silent.
                Put(0xFE, auxiliary: true);
                status |= TimeOut;
                break;
            default:
                // Sending to the keyboard enables its interface.
                Command &= unchecked((byte)~KeyboardDisabled);
                Keyboard.Command(value);
                TakeFromKeyboard();
                break;
        }
    }

    private void WriteCommand(byte value)
    {
        status |= LastWasCommand;
        expecting = 0;
        switch (value)
        {
            case >= 0x20 and <= 0x3F:
                Put(memory[value & 0x1F], auxiliary: false);
                break;
            case >= 0x60 and <= 0x7F or 0xD1 or 0xD2 or 0xD3 or 0xD4:
                expecting = value;
                break;
            case 0xA7:
                Command |= AuxiliaryDisabled;
                break;
            case 0xA8:
                Command &= unchecked((byte)~AuxiliaryDisabled);
                break;
            case 0xA9 or 0xAB:
                Put(0, auxiliary: false);
                break;
            case 0xAA:
                Command |= KeyboardDisabled | AuxiliaryDisabled | SystemFlag;
                UpdateSystemFlag();
                Put(0x55, auxiliary: false);
                break;
            case 0xAD:
                Command |= KeyboardDisabled;
                break;
            case 0xAE:
                Command &= unchecked((byte)~KeyboardDisabled);
                TakeFromKeyboard();
                break;
            case 0xC0:
                // Input port: keyboard not locked, manufacturing jumper not installed.
                Put(0xA0, auxiliary: false);
                break;
            case 0xD0:
                Put((byte)(outputPort | ((status & OutputFull) != 0 ? 0x10 : 0)), auxiliary: false);
                break;
            case 0xDD:
                A20 = false;
                break;
            case 0xDF:
                A20 = true;
                break;
            case 0xE0:
                Put(0, auxiliary: false);
                break;
            case >= 0xF0:
                // Pulses low the output port's bits 0–3 whose command bits are 0. Bit 1 comes back before anyone sees it.
                if ((value & OutputReset) == 0)
                {
                    signals.RequestReset(ResetCause.KeyboardController);
                }

                break;
        }
    }

    private void WriteOutputPort(byte value)
    {
        bool wasHigh = (outputPort & OutputReset) != 0;
        outputPort = value;
        if (wasHigh && (value & OutputReset) == 0)
        {
            signals.RequestReset(ResetCause.KeyboardController);
        }
    }

    private void UpdateSystemFlag() => status = (byte)((status & ~SystemFlag) | (Command & SystemFlag));

    private void TakeFromKeyboard()
    {
        while ((status & OutputFull) == 0 && (Command & KeyboardDisabled) == 0 && Keyboard.HasOutput)
        {
            byte value = Keyboard.Take();
            if ((Command & Translate) == 0)
            {
                Put(value, auxiliary: false);
            }
            else if (value == 0xF0)
            {
                // Set 2 announces a released key with F0h, set 1 marks it in bit 7.
                breakPrefix = true;
            }
            else
            {
                Put((byte)(ScanCodes.ToSet1(value) | (breakPrefix ? 0x80 : 0)), auxiliary: false);
                breakPrefix = false;
            }
        }
    }

    private void Put(byte value, bool auxiliary)
    {
        // A byte that was not read is overwritten; the line falls and rises, so that the new one interrupts too.
        status &= unchecked((byte)~(OutputFull | FromAuxiliary | TimeOut));
        UpdateInterrupts();
        output = value;
        status |= auxiliary ? (byte)(OutputFull | FromAuxiliary) : OutputFull;
        UpdateInterrupts();
    }

    private void UpdateInterrupts()
    {
        bool full = (status & OutputFull) != 0, auxiliary = (status & FromAuxiliary) != 0;
        keyboardIrq.Set(full && !auxiliary && (Command & KeyboardInterrupt) != 0);
        auxiliaryIrq.Set(full && auxiliary && (Command & AuxiliaryInterrupt) != 0);
    }

    private sealed class Port(KeyboardController controller, bool isCommand) : BytePortDevice
    {
        private protected override byte ReadRegister(int offset) => isCommand ? controller.status : controller.ReadData();

        private protected override void WriteRegister(int offset, byte value)
        {
            if (isCommand)
            {
                controller.WriteCommand(value);
            }
            else
            {
                controller.WriteData(value);
            }
        }
    }
}

/// <summary>Saved state of the i8042 and what is plugged into it.</summary>
public sealed record KeyboardControllerState(
    byte[] Memory,
    byte Status,
    byte Output,
    byte OutputPort,
    byte Expecting,
    bool BreakPrefix,
    KeyboardState Keyboard,
    bool KeyboardIrq,
    bool AuxiliaryIrq);
