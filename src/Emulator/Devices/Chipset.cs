using Emulator.Devices.Pci;
using Emulator.Memory;
using Emulator.Time;

namespace Emulator.Devices;

/// <summary>
/// The devices of a PC and the wires between them. There is no firmware in this machine, so <see cref="Reset"/> leaves
/// the devices as one hands them to an operating system: PIC at vectors 08h and 70h, counter 0 of the PIT at 18.2 Hz, the
/// bootstrap processor's local APIC in virtual wire mode, keyboard on, A20 open.
/// </summary>
public sealed class Chipset
{
    private const int TimerIrq = 0, ClockIrq = 8;

    private readonly PicPair pic;
    private readonly IoApic ioApic;
    private readonly Pit pit;
    private readonly SystemControlPortB portB;
    private readonly CmosRtc rtc;
    private readonly KeyboardController keyboardController;
    private readonly SystemControlPortA portA;
    private readonly ResetControl resetControl;
    private readonly PciConfiguration pci;
    private readonly Hpet hpet;
    private readonly PostPort postPort = new();
    private readonly LocalApic[] localApics;
    private readonly IrqLine pitLine;
    private readonly IrqLine rtcLine;

    /// <summary>
    /// Builds all devices and maps them on <paramref name="bus"/>. Ends in the state after <see cref="Reset"/>; the vCPUs
    /// are told nothing meanwhile.
    /// </summary>
    public Chipset(
        ChipsetOptions options, IoBus bus, VirtualClock clock, EventQueue events, IMachineSignals signals, IReadOnlyList<IVcpuSignals> vcpus)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(bus);
        ArgumentNullException.ThrowIfNull(vcpus);
        ArgumentOutOfRangeException.ThrowIfZero(vcpus.Count, nameof(vcpus));

        // The order in which timers are created breaks ties between deadlines: it is part of what a machine is.
        localApics = new LocalApic[vcpus.Count];
        pic = new PicPair(IntrChanged);
        var apicBus = new ApicBus();
        for (int i = 0; i < localApics.Length; i++)
        {
            localApics[i] = new LocalApic(i, apicBus, pic, vcpus[i], clock, events, options.PhysicalAddressBits);
        }

        apicBus.Attach(localApics);
        ioApic = new IoApic(apicBus);
        apicBus.IoApic = ioApic;

        pitLine = new IrqLine(high => DriveLegacy(TimerIrq, high));
        rtcLine = new IrqLine(high => DriveLegacy(ClockIrq, high));
        pit = new Pit(clock, events, pitLine);
        portB = new SystemControlPortB(pit);
        rtc = new CmosRtc(clock, events, rtcLine, options.StartTime.ToUnixTimeSeconds(), options.MemoryBytes);

        var hpetPins = new IrqLine[Hpet.PinCount];
        for (int i = 0; i < hpetPins.Length; i++)
        {
            int pin = Hpet.FirstPin + i;
            hpetPins[i] = new IrqLine(high => ioApic.SetPin(pin, high));
        }

        hpet = new Hpet(clock, events, hpetPins, IsaLine(TimerIrq), IsaLine(ClockIrq), LegacyRoutingChanged);
        PowerManagement = new AcpiPowerManagement(clock, events, IsaLine(AcpiPowerManagement.SciIrq), signals);
        Com1 = new Uart(IsaLine(4), options.Com1Output);
        Com2 = new Uart(IsaLine(3), options.Com2Output);
        keyboardController = new KeyboardController(IsaLine(1), IsaLine(12), signals);
        portA = new SystemControlPortA(signals);
        resetControl = new ResetControl(signals);
        pci = new PciConfiguration(resetControl);
        Erst = new Erst(options.ErstStore, signals);

        MapPorts(options, bus, signals);
        bus.MapMmio(PhysicalLayout.IoApic, GuestMemory.PageSize, ioApic);
        bus.MapMmio(PhysicalLayout.Hpet, GuestMemory.PageSize, hpet);
        bus.MapMmio(PhysicalLayout.ErstRegisters, Erst.RegistersSize, Erst);
        bus.MapMmio(PhysicalLayout.ErstBuffer, PhysicalLayout.ErstBufferSize, Erst.BufferWindow);
        Reset();
    }

    /// <summary>COM1: 3F8h, IRQ 4.</summary>
    public Uart Com1 { get; }

    /// <summary>COM2: 2F8h, IRQ 3.</summary>
    public Uart Com2 { get; }

    /// <summary>ACPI's fixed hardware; the power button is here.</summary>
    public AcpiPowerManagement PowerManagement { get; }

    /// <summary>Error record serialization.</summary>
    public Erst Erst { get; }

    /// <summary>The local APICs, by vCPU.</summary>
    public IReadOnlyList<LocalApic> LocalApics => localApics;

    /// <summary>The A20 gate as the guest set it. Addresses are not masked: memory above 1 MiB shows in either case.</summary>
    public bool A20Enabled => keyboardController.A20 || portA.A20;

    /// <summary>The diagnostic code last written to port 80h.</summary>
    public byte PostCode => postPort.Code;

    internal PicPair Pic => pic;

    internal IoApic IoApic => ioApic;

    internal Pit Pit => pit;

    internal CmosRtc Rtc => rtc;

    internal KeyboardController KeyboardController => keyboardController;

    internal PciConfiguration Pci => pci;

    internal Hpet Hpet => hpet;

    /// <summary>A non-maskable interrupt from outside (a front panel's button), unless port 70h masks it.</summary>
    public void InjectNmi()
    {
        if (rtc.NmiMasked)
        {
            return;
        }

        foreach (LocalApic apic in localApics)
        {
            apic.PulseLint1();
        }
    }

    /// <summary>
    /// A key's scan code in set 2 (F0h before that of a release); false when the keyboard could not take it.
    /// </summary>
    public bool Key(ReadOnlySpan<byte> scanCode) => keyboardController.Key(scanCode);

    /// <summary>
    /// What a reset of the machine does to the devices, and then what firmware would do. The ERST records, the calendar,
    /// the CMOS memory and input that waits outside the UARTs stay.
    /// </summary>
    public void Reset()
    {
        hpet.Reset();
        pit.Reset();
        portB.Reset();
        rtc.Reset();
        keyboardController.Reset();
        portA.Reset();
        resetControl.Reset();
        pci.Reset();
        PowerManagement.Reset();
        Com1.Reset();
        Com2.Reset();
        Erst.Reset();
        postPort.Reset();
        ioApic.Reset();
        pic.Reset();
        foreach (LocalApic apic in localApics)
        {
            apic.Reset();
        }

        InitializeAsFirmware();
    }

    /// <summary>All device state. The clock's instant is not in it.</summary>
    public ChipsetState Save()
    {
        var apics = new LocalApicState[localApics.Length];
        for (int i = 0; i < apics.Length; i++)
        {
            apics[i] = localApics[i].Save();
        }

        return new ChipsetState(
            Com1: Com1.Save(),
            Com2: Com2.Save(),
            Pic: pic.Save(),
            Pit: pit.Save(),
            PortB: portB.Save(),
            Rtc: rtc.Save(),
            KeyboardController: keyboardController.Save(),
            PortA: portA.Save(),
            ResetControl: resetControl.Save(),
            Pci: pci.Save(),
            LocalApics: apics,
            IoApic: ioApic.Save(),
            Hpet: hpet.Save(),
            PowerManagement: PowerManagement.Save(),
            Erst: Erst.Save(),
            PostPort: postPort.Save());
    }

    /// <summary>
    /// Takes over saved state, the ERST records with it. The clock must stand at the instant of the save already. Throws
    /// <see cref="ArgumentException"/> when the state is of a machine with another number of vCPUs or is not whole.
    /// </summary>
    public void Load(ChipsetState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        state.Validate(localApics.Length);
        Com1.Load(state.Com1);
        Com2.Load(state.Com2);
        pic.Load(state.Pic);
        pit.Load(state.Pit);
        portB.Load(state.PortB);
        rtc.Load(state.Rtc);
        keyboardController.Load(state.KeyboardController);
        portA.Load(state.PortA);
        resetControl.Load(state.ResetControl);
        pci.Load(state.Pci);
        for (int i = 0; i < localApics.Length; i++)
        {
            localApics[i].Load(state.LocalApics[i]);
        }

        ioApic.Load(state.IoApic);
        hpet.Load(state.Hpet);
        PowerManagement.Load(state.PowerManagement);
        Erst.Load(state.Erst);
        postPort.Load(state.PostPort);
    }

    private void MapPorts(ChipsetOptions options, IoBus bus, IMachineSignals signals)
    {
        bus.MapPorts(0x3F8, Uart.PortCount, Com1);
        bus.MapPorts(0x2F8, Uart.PortCount, Com2);
        bus.MapPorts(0x20, 2, pic.MasterPorts);
        bus.MapPorts(0xA0, 2, pic.SlavePorts);
        bus.MapPorts(0x4D0, 2, pic.EdgeLevelPorts);
        bus.MapPorts(0x40, 4, pit);
        bus.MapPorts(0x61, 1, portB);
        bus.MapPorts(0x70, 2, rtc);
        bus.MapPorts(0x60, 1, keyboardController.DataPort);
        bus.MapPorts(0x64, 1, keyboardController.CommandPort);
        bus.MapPorts(0x92, 1, portA);
        bus.MapPorts(PciConfiguration.Port, PciConfiguration.PortCount, pci);
        bus.MapPorts(AcpiPowerManagement.PortBase, AcpiPowerManagement.PortCount, PowerManagement.Registers);
        bus.MapPorts(AcpiPowerManagement.SmiCommandPort, 2, PowerManagement.CommandPorts);
        bus.MapPorts(PvPanic.Port, 1, new PvPanic(signals));
        bus.MapPorts(DebugConsole.Port, 1, new DebugConsole(options.DebugOutput));
        bus.MapPorts(PostPort.Port, 1, postPort);
        if (options.ExitPort)
        {
            bus.MapPorts(DebugExit.Port, DebugExit.PortCount, new DebugExit(signals));
        }
    }

    private void InitializeAsFirmware()
    {
        // Counter 0: square wave, 65536 ticks. Before the PIC, so that the edge at its start is not taken for a tick.
        pit.WritePort(3, 1, 0x36);
        pit.WritePort(0, 1, 0);
        pit.WritePort(0, 1, 0);

        // Everything masked but the timer, the keyboard and the cascade; the SCI is a level.
        InitializePic(pic.MasterPorts, 0x08, 0x04, 0xF8);
        InitializePic(pic.SlavePorts, 0x70, 0x02, 0xFF);
        pic.EdgeLevelPorts.WritePort(1, 1, 1 << (AcpiPowerManagement.SciIrq - 8));
        keyboardController.InitializeAsFirmware();
        foreach (LocalApic apic in localApics)
        {
            apic.InitializeAsFirmware();
        }
    }

    /// <summary>ICW1–ICW4 and the mask.</summary>
    private static void InitializePic(IPortDevice ports, byte vectorBase, byte cascade, byte mask)
    {
        ports.WritePort(0, 1, 0x11);
        ports.WritePort(1, 1, vectorBase);
        ports.WritePort(1, 1, cascade);
        ports.WritePort(1, 1, 0x01);
        ports.WritePort(1, 1, mask);
    }

    private IrqLine IsaLine(int irq) => new(high => DriveIsa(irq, high));

    /// <summary>An ISA interrupt reaches the PIC and the I/O APIC, whose input 2 is IRQ 0's (as the MADT tells).</summary>
    private void DriveIsa(int irq, bool high)
    {
        pic.SetLine(irq, high);
        ioApic.SetPin(irq == TimerIrq ? 2 : irq, high);
    }

    /// <summary>The PIT's and the RTC's wires: cut while the HPET has taken their place.</summary>
    private void DriveLegacy(int irq, bool high)
    {
        if (hpet is not { LegacyReplacement: true })
        {
            DriveIsa(irq, high);
        }
    }

    private void LegacyRoutingChanged(bool hpetDrives)
    {
        DriveIsa(TimerIrq, !hpetDrives && pitLine.Level);
        DriveIsa(ClockIrq, !hpetDrives && rtcLine.Level);
    }

    private void IntrChanged(bool high)
    {
        foreach (LocalApic apic in localApics)
        {
            apic?.SetLint0(high);
        }
    }
}
