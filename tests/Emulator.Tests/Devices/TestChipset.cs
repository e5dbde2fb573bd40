using System.Text.Json;
using System.Text.Json.Serialization;
using Emulator.Devices;
using Emulator.Time;

namespace Emulator.Tests.Devices;

/// <summary>A chipset without CPUs or RAM: the test is the program, and says how much time passes.</summary>
internal sealed class TestChipset : IMachineSignals
{
    public TestChipset(int processors = 1, ErstStore? store = null, bool exitPort = true)
    {
        Store = store ?? new ErstStore();
        Vcpus = new FakeVcpu[processors];
        for (int i = 0; i < processors; i++)
        {
            Vcpus[i] = new FakeVcpu();
        }

        Chipset = new Chipset(
            new ChipsetOptions
            {
                MemoryBytes = 256UL << 20,
                ErstStore = Store,
                StartTime = new DateTimeOffset(2024, 2, 28, 23, 59, 50, TimeSpan.Zero),
                Com1Output = Com1.Add,
                DebugOutput = DebugOutput.Add,
                ExitPort = exitPort,
            },
            Bus, Clock, Events, this, Vcpus);
    }

    public VirtualClock Clock { get; } = new();

    public EventQueue Events { get; } = new();

    public IoBus Bus { get; } = new();

    public Chipset Chipset { get; }

    public ErstStore Store { get; }

    public FakeVcpu[] Vcpus { get; }

    public List<byte> Com1 { get; } = [];

    public List<byte> DebugOutput { get; } = [];

    /// <summary>What the machine was asked for, in order.</summary>
    public List<string> Asked { get; } = [];

    public LocalApic Apic => Chipset.LocalApics[0];

    public byte In(int port) => (byte)Bus.ReadPort((ushort)port, 1);

    public uint In32(int port) => Bus.ReadPort((ushort)port, 4);

    public ushort In16(int port) => (ushort)Bus.ReadPort((ushort)port, 2);

    public void Out(int port, int value) => Bus.WritePort((ushort)port, 1, (uint)value);

    public void Out16(int port, int value) => Bus.WritePort((ushort)port, 2, (uint)value);

    public void Out32(int port, uint value) => Bus.WritePort((ushort)port, 4, value);

    public ulong ReadMemory(ulong address, int size) =>
        Bus.TryFindMmio(address, out IMmioDevice device, out ulong offset) ? device.ReadMmio(offset, size) : ulong.MaxValue;

    public void WriteMemory(ulong address, int size, ulong value)
    {
        Assert.True(Bus.TryFindMmio(address, out IMmioDevice device, out ulong offset));
        device.WriteMmio(offset, size, value);
    }

    public uint ReadApic(int offset) => (uint)Apic.ReadMmio((ulong)offset, 4);

    public void WriteApic(int offset, uint value) => Apic.WriteMmio((ulong)offset, 4, value);

    public void WriteIoApic(int register, uint value)
    {
        WriteMemory(0xFEC0_0000, 4, (uint)register);
        WriteMemory(0xFEC0_0010, 4, value);
    }

    public uint ReadIoApic(int register)
    {
        WriteMemory(0xFEC0_0000, 4, (uint)register);
        return (uint)ReadMemory(0xFEC0_0010, 4);
    }

    /// <summary>Lets time pass; every deadline on the way is met at its instant.</summary>
    public void Advance(ulong nanoseconds) => AdvanceTo(Clock.Now + nanoseconds);

    public void AdvanceTo(ulong instant)
    {
        while (Events.NextDeadline <= instant)
        {
            Clock.Now = Math.Max(Clock.Now, Events.NextDeadline);
            Events.RunDue(Clock.Now);
        }

        Clock.Now = instant;
    }

    /// <summary>All interrupts the CPU takes in the time that passes, as (instant, vector); each is ended at once in the PIC.</summary>
    public List<(ulong Instant, int Vector)> TakePicInterrupts(ulong nanoseconds)
    {
        var taken = new List<(ulong, int)>();
        ulong end = Clock.Now + nanoseconds;
        while (true)
        {
            while (Apic.HasInterrupt)
            {
                int vector = Apic.Acknowledge();
                taken.Add((Clock.Now, vector));
                if (vector >= 0x70)
                {
                    Out(0xA0, 0x20);
                }

                Out(0x20, 0x20);
            }

            if (Events.NextDeadline > end)
            {
                Clock.Now = end;
                return taken;
            }

            Clock.Now = Math.Max(Clock.Now, Events.NextDeadline);
            Events.RunDue(Clock.Now);
        }
    }

    /// <summary>A second machine that took over this one's state by way of its JSON.</summary>
    public TestChipset Fork()
    {
        string json = Json();
        var other = new TestChipset(Vcpus.Length);
        other.Clock.Now = Clock.Now;
        other.Chipset.Load(ChipsetJson.Read(json));
        return other;
    }

    /// <summary>The state in a form that compares.</summary>
    public string Json() => JsonSerializer.Serialize(Chipset.Save(), ChipsetJson.Default.ChipsetState);

    void IMachineSignals.RequestReset(ResetCause cause) => Asked.Add($"reset {cause}");

    void IMachineSignals.RequestPowerOff() => Asked.Add("power off");

    void IMachineSignals.RequestExit(int code) => Asked.Add($"exit {code}");

    void IMachineSignals.PvPanic(byte events) => Asked.Add($"pvpanic {events}");

    void IMachineSignals.ErstRecordWritten() => Asked.Add("erst");
}

/// <summary>Counts what a vCPU is told.</summary>
internal sealed class FakeVcpu : IVcpuSignals
{
    public int Changes { get; set; }

    public int Nmis { get; private set; }

    public int Inits { get; private set; }

    public List<byte> StartUps { get; } = [];

    public void InterruptChanged() => Changes++;

    public void Nmi() => Nmis++;

    public void Init() => Inits++;

    public void StartUp(byte vector) => StartUps.Add(vector);
}

/// <summary>The state's JSON by source generation, as a product without reflection has to do it.</summary>
[JsonSerializable(typeof(ChipsetState))]
internal sealed partial class ChipsetJson : JsonSerializerContext
{
    public static ChipsetState Read(string json) => JsonSerializer.Deserialize(json, Default.ChipsetState)!;
}
