namespace Emulator.Devices;

/// <summary>
/// A keyboard nobody types on unless told to: it answers a driver's commands. Source: IBM PC AT Technical Reference,
/// "Keyboard", commands from the system (ED–FF); identification of the 101-key model AB 83.
/// </summary>
internal sealed class Keyboard
{
    /// <summary>Bytes its buffer holds (16 in IBM's, plus room for answers).</summary>
    public const int Capacity = 32;

    private const byte Acknowledge = 0xFA, Resend = 0xFE, SelfTestPassed = 0xAA;

    private readonly byte[] buffer = new byte[Capacity];
    private int head;
    private int count;
    private byte expecting;
    private byte lastSent;
    private byte scanCodeSet = 2;
    private bool scanning = true;

    /// <summary>True when a byte waits for the controller.</summary>
    public bool HasOutput => count > 0;

    /// <summary>The next byte for the controller; only when <see cref="HasOutput"/>.</summary>
    public byte Take()
    {
        byte value = buffer[head];
        head = (head + 1) % Capacity;
        count--;
        lastSent = value;
        return value;
    }

    /// <summary>A key's scan code (set 2) as the keys send it; false when scanning is off or the buffer is full.</summary>
    public bool Key(ReadOnlySpan<byte> scanCode)
    {
        if (!scanning || count + scanCode.Length > Capacity)
        {
            return false;
        }

        foreach (byte value in scanCode)
        {
            Send(value);
        }

        return true;
    }

    /// <summary>A byte from the controller.</summary>
    public void Command(byte value)
    {
        byte command = expecting;
        expecting = 0;
        switch (command)
        {
            case 0xF0 when value <= 3:
                Send(Acknowledge);
                if (value == 0)
                {
                    Send(scanCodeSet);
                }
                else
                {
                    scanCodeSet = value;
                }

                return;
            case 0xED or 0xF3 or 0xFB or 0xFC or 0xFD when value < 0x80:
                Send(Acknowledge);
                return;
        }

        switch (value)
        {
            case 0xED or 0xF0 or 0xF3 or 0xFB or 0xFC or 0xFD:
                expecting = value;
                Send(Acknowledge);
                break;
            case 0xEE:
                Send(0xEE);
                break;
            case 0xF2:
                Send(Acknowledge);
                Send(0xAB);
                Send(0x83);
                break;
            case 0xF4:
                scanning = true;
                Send(Acknowledge);
                break;
            case 0xF5 or 0xF6:
                scanning = value == 0xF6;
                scanCodeSet = 2;
                Send(Acknowledge);
                break;
            case >= 0xF7 and <= 0xFA:
                Send(Acknowledge);
                break;
            case 0xFE:
                Send(lastSent);
                break;
            case 0xFF:
                Reset();
                Send(Acknowledge);
                Send(SelfTestPassed);
                break;
            default:
                Send(Resend);
                break;
        }
    }

    public void Reset()
    {
        head = count = 0;
        expecting = lastSent = 0;
        scanCodeSet = 2;
        scanning = true;
    }

    public KeyboardState Save()
    {
        byte[] waiting = new byte[count];
        for (int i = 0; i < count; i++)
        {
            waiting[i] = buffer[(head + i) % Capacity];
        }

        return new KeyboardState(Waiting: waiting, Expecting: expecting, LastSent: lastSent, ScanCodeSet: scanCodeSet, Scanning: scanning);
    }

    public void Load(KeyboardState state)
    {
        head = 0;
        count = Math.Min(state.Waiting.Length, Capacity);
        state.Waiting.AsSpan(0, count).CopyTo(buffer);
        expecting = state.Expecting;
        lastSent = state.LastSent;
        scanCodeSet = state.ScanCodeSet;
        scanning = state.Scanning;
    }

    private void Send(byte value)
    {
        if (count < Capacity)
        {
            buffer[(head + count++) % Capacity] = value;
        }
    }
}

/// <summary>Saved state of the keyboard.</summary>
public sealed record KeyboardState(byte[] Waiting, byte Expecting, byte LastSent, byte ScanCodeSet, bool Scanning);
