namespace Emulator.Devices;

/// <summary>
/// A 16550A serial port. Its line is infinitely fast: a byte written is sent at once, and the four character times of
/// the receiver's time-out are over as soon as no further byte waits.
/// Source: National Semiconductor PC16550D data sheet (June 1995); the OUT2 gate on the interrupt is the PC AT's wiring.
/// </summary>
public sealed class Uart : BytePortDevice
{
    /// <summary>Ports of the device.</summary>
    public const int PortCount = 8;

    /// <summary>Bytes of input that may wait for the guest at most; what comes beyond is refused.</summary>
    public const int MaximumQueuedInput = 64 * 1024;

    private const int FifoSize = 16;
    private const byte EnableReceive = 1, EnableTransmit = 2, EnableLineStatus = 4, EnableModemStatus = 8;
    private const byte DivisorLatchAccess = 0x80;
    private const byte ModemOut2 = 8, ModemLoop = 0x10;
    private const byte LineDataReady = 1, LineOverrun = 2, LineErrors = 0x1E, LineTransmitterIdle = 0x60;

    // A terminal is always there: DCD, DSR and CTS asserted.
    private const byte TerminalPresent = 0xB0;

    private readonly IrqLine irq;
    private readonly Action<byte>? output;
    private readonly byte[] fifo = new byte[FifoSize];
    private readonly Queue<byte> queued = new();
    private int fifoHead;
    private int fifoCount;
    private byte interruptEnable;
    private byte lineControl;
    private byte modemControl;
    private byte modemStatus;
    private byte lineErrors;
    private byte scratch;
    private byte divisorLow;
    private byte divisorHigh;
    private byte fifoControl;
    private bool transmitterEmptyPending;

    /// <summary>A port that interrupts over <paramref name="irq"/> and sends to <paramref name="output"/> (null: nobody listens).</summary>
    public Uart(IrqLine irq, Action<byte>? output)
    {
        this.irq = irq;
        this.output = output;
        Reset();
    }

    /// <summary>Bytes handed to <see cref="Receive"/> which the guest has not read.</summary>
    public int WaitingInput => fifoCount + queued.Count;

    private bool FifoEnabled => (fifoControl & 1) != 0;

    private bool Loopback => (modemControl & ModemLoop) != 0;

    private int Trigger => !FifoEnabled ? 1 : (fifoControl >> 6) switch { 0 => 1, 1 => 4, 2 => 8, _ => 14 };

    /// <summary>
    /// Input from the other end of the line. The receiver FIFO takes what it has room for and the rest as the guest
    /// reads, so nothing is overrun. Returns how many bytes were taken; fewer when <see cref="MaximumQueuedInput"/> is reached.
    /// </summary>
    public int Receive(ReadOnlySpan<byte> bytes)
    {
        int taken = Math.Min(bytes.Length, MaximumQueuedInput - queued.Count);
        foreach (byte value in bytes[..taken])
        {
            queued.Enqueue(value);
        }

        FillFifo();
        UpdateInterrupt();
        return taken;
    }

    /// <summary>A break condition on the line: a zero byte with LSR's break bit (Linux takes the next byte as a sysrq key).</summary>
    public void ReceiveBreak()
    {
        lineErrors |= 0x10;
        Receive([0]);
    }

    /// <summary>The MR pin: registers as in table I of the data sheet. Input that waits outside the chip stays.</summary>
    public void Reset()
    {
        interruptEnable = 0;
        lineControl = 0;
        modemControl = 0;
        modemStatus = TerminalPresent;
        lineErrors = 0;
        scratch = 0;
        divisorLow = 12;
        divisorHigh = 0;
        fifoControl = 0;
        fifoHead = 0;
        fifoCount = 0;
        transmitterEmptyPending = false;
        FillFifo();
        UpdateInterrupt();
    }

    internal UartState Save()
    {
        byte[] receiver = new byte[fifoCount];
        for (int i = 0; i < fifoCount; i++)
        {
            receiver[i] = fifo[(fifoHead + i) % FifoSize];
        }

        return new UartState(
            InterruptEnable: interruptEnable,
            LineControl: lineControl,
            ModemControl: modemControl,
            ModemStatus: modemStatus,
            LineErrors: lineErrors,
            Scratch: scratch,
            DivisorLow: divisorLow,
            DivisorHigh: divisorHigh,
            FifoControl: fifoControl,
            TransmitterEmptyPending: transmitterEmptyPending,
            ReceiverFifo: receiver,
            QueuedInput: queued.ToArray(),
            Irq: irq.Level);
    }

    internal void Load(UartState state)
    {
        interruptEnable = state.InterruptEnable;
        lineControl = state.LineControl;
        modemControl = state.ModemControl;
        modemStatus = state.ModemStatus;
        lineErrors = state.LineErrors;
        scratch = state.Scratch;
        divisorLow = state.DivisorLow;
        divisorHigh = state.DivisorHigh;
        fifoControl = state.FifoControl;
        transmitterEmptyPending = state.TransmitterEmptyPending;
        fifoHead = 0;
        fifoCount = Math.Min(state.ReceiverFifo.Length, FifoSize);
        state.ReceiverFifo.AsSpan(0, fifoCount).CopyTo(fifo);
        queued.Clear();
        foreach (byte value in state.QueuedInput.AsSpan(0, Math.Min(state.QueuedInput.Length, MaximumQueuedInput)))
        {
            queued.Enqueue(value);
        }

        irq.Restore(state.Irq);
    }

    private protected override byte ReadRegister(int offset)
    {
        bool latch = (lineControl & DivisorLatchAccess) != 0;
        switch (offset)
        {
            case 0:
                return latch ? divisorLow : ReadReceiver();
            case 1:
                return latch ? divisorHigh : interruptEnable;
            case 2:
                byte identification = Identification();
                if (identification == 2)
                {
                    transmitterEmptyPending = false;
                    UpdateInterrupt();
                }

                return (byte)(identification | (FifoEnabled ? 0xC0 : 0));
            case 3:
                return lineControl;
            case 4:
                return modemControl;
            case 5:
                byte status = (byte)(LineTransmitterIdle | lineErrors | (fifoCount > 0 ? LineDataReady : 0));
                lineErrors = 0;
                UpdateInterrupt();
                return status;
            case 6:
                byte modem = modemStatus;
                modemStatus &= 0xF0;
                UpdateInterrupt();
                return modem;
            default:
                return scratch;
        }
    }

    private protected override void WriteRegister(int offset, byte value)
    {
        bool latch = (lineControl & DivisorLatchAccess) != 0;
        switch (offset)
        {
            case 0 when latch:
                divisorLow = value;
                break;
            case 0:
                Transmit(value);
                break;
            case 1 when latch:
                divisorHigh = value;
                break;
            case 1:
                // Enabling the transmitter's interrupt while it is empty raises it (data sheet §8.6.3, note to THRE).
                transmitterEmptyPending |= (value & ~interruptEnable & EnableTransmit) != 0;
                interruptEnable = (byte)(value & 0x0F);
                break;
            case 2:
                WriteFifoControl(value);
                break;
            case 3:
                lineControl = value;
                break;
            case 4:
                modemControl = (byte)(value & 0x1F);
                UpdateModemStatus();
                FillFifo();
                break;
            case 7:
                scratch = value;
                break;
        }

        UpdateInterrupt();
    }

    private byte ReadReceiver()
    {
        if (fifoCount == 0)
        {
            return 0;
        }

        byte value = fifo[fifoHead];
        fifoHead = (fifoHead + 1) % FifoSize;
        fifoCount--;
        FillFifo();
        UpdateInterrupt();
        return value;
    }

    private void Transmit(byte value)
    {
        // The interrupt falls with the write and rises with the empty register: an edge, although no time passes between.
        transmitterEmptyPending = false;
        UpdateInterrupt();
        if (!Loopback)
        {
            output?.Invoke(value);
        }
        else if (fifoCount < (FifoEnabled ? FifoSize : 1))
        {
            Push(value);
        }
        else
        {
            lineErrors |= LineOverrun;
            if (!FifoEnabled)
            {
                fifo[fifoHead] = value;
            }
        }

        transmitterEmptyPending = true;
    }

    private void WriteFifoControl(byte value)
    {
        if (((value ^ fifoControl) & 1) != 0 || (value & 2) != 0)
        {
            fifoCount = 0;
        }

        // With bit 0 clear the other bits are not programmed (data sheet §8.5).
        fifoControl = (value & 1) != 0 ? (byte)(value & 0xC9) : (byte)0;
        FillFifo();
    }

    private void UpdateModemStatus()
    {
        byte lines = Loopback
            ? (byte)(((modemControl & 1) << 5) | ((modemControl & 2) << 3) | ((modemControl & 4) << 4) | ((modemControl & 8) << 4))
            : TerminalPresent;
        int changed = (lines ^ modemStatus) & 0xF0;
        int delta = (changed >> 4) & 0x0B;
        if ((changed & modemStatus & 0x40) != 0)
        {
            delta |= 4;
        }

        modemStatus = (byte)(lines | (modemStatus & 0x0F) | delta);
    }

    private void FillFifo()
    {
        int room = FifoEnabled ? FifoSize : 1;
        while (!Loopback && fifoCount < room && queued.TryDequeue(out byte value))
        {
            Push(value);
        }
    }

    private void Push(byte value) => fifo[(fifoHead + fifoCount++) % FifoSize] = value;

    private byte Identification()
    {
        if ((interruptEnable & EnableLineStatus) != 0 && (lineErrors & LineErrors) != 0)
        {
            return 6;
        }

        if ((interruptEnable & EnableReceive) != 0 && fifoCount > 0)
        {
            return fifoCount >= Trigger ? (byte)4 : (byte)0x0C;
        }

        if ((interruptEnable & EnableTransmit) != 0 && transmitterEmptyPending)
        {
            return 2;
        }

        return (interruptEnable & EnableModemStatus) != 0 && (modemStatus & 0x0F) != 0 ? (byte)0 : (byte)1;
    }

    private void UpdateInterrupt() =>
        irq.Set(Identification() != 1 && (modemControl & (ModemOut2 | ModemLoop)) == ModemOut2);
}

/// <summary>Saved state of a <see cref="Uart"/>.</summary>
public sealed record UartState(
    byte InterruptEnable,
    byte LineControl,
    byte ModemControl,
    byte ModemStatus,
    byte LineErrors,
    byte Scratch,
    byte DivisorLow,
    byte DivisorHigh,
    byte FifoControl,
    bool TransmitterEmptyPending,
    byte[] ReceiverFifo,
    byte[] QueuedInput,
    bool Irq);
