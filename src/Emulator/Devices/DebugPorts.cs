namespace Emulator.Devices;

/// <summary>Port E9h: each byte written is a character for a developer; a read gives E9h, by which guests know it is there (Bochs).</summary>
internal sealed class DebugConsole(Action<byte>? output) : BytePortDevice
{
    public const ushort Port = 0xE9;

    private protected override byte ReadRegister(int offset) => 0xE9;

    private protected override void WriteRegister(int offset, byte value) => output?.Invoke(value);
}

/// <summary>Port F4h, four ports wide: a write ends the run with exit code (value · 2) + 1, as QEMU's isa-debug-exit does.</summary>
internal sealed class DebugExit(IMachineSignals signals) : IPortDevice
{
    public const ushort Port = 0xF4;
    public const int PortCount = 4;

    public uint ReadPort(ushort offset, int size) => 0;

    public void WritePort(ushort offset, int size, uint value) => signals.RequestExit((int)((value << 1) | 1));
}

/// <summary>Port 80h: the diagnostic code last written, and what drivers write to when they want a short delay.</summary>
internal sealed class PostPort : BytePortDevice
{
    public const ushort Port = 0x80;

    /// <summary>The code.</summary>
    public byte Code { get; private set; }

    public void Reset() => Code = 0;

    public PostPortState Save() => new(Code: Code);

    public void Load(PostPortState state) => Code = state.Code;

    private protected override byte ReadRegister(int offset) => Code;

    private protected override void WriteRegister(int offset, byte value) => Code = value;
}

/// <summary>Saved state of port 80h.</summary>
public sealed record PostPortState(byte Code);
