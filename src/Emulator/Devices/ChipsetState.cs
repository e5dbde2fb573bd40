using System.Diagnostics.CodeAnalysis;
using Emulator.Devices.Pci;

namespace Emulator.Devices;

/// <summary>All device state of a machine as a plain record, one property a device.</summary>
public sealed record ChipsetState(
    UartState Com1,
    UartState Com2,
    PicState Pic,
    PitState Pit,
    SystemControlPortBState PortB,
    CmosRtcState Rtc,
    KeyboardControllerState KeyboardController,
    SystemControlPortAState PortA,
    ResetControlState ResetControl,
    PciConfigurationState Pci,
    LocalApicState[] LocalApics,
    IoApicState IoApic,
    HpetState Hpet,
    AcpiPowerManagementState PowerManagement,
    ErstState Erst,
    PostPortState PostPort)
{
    /// <summary>
    /// Throws <see cref="ArgumentException"/> that names the part which is missing or of the wrong size: the state may come
    /// out of a file. Numbers inside are bounded by the devices that take them.
    /// </summary>
    internal void Validate(int processors)
    {
        Whole(Com1 is { ReceiverFifo: not null, QueuedInput: not null }, nameof(Com1));
        Whole(Com2 is { ReceiverFifo: not null, QueuedInput: not null }, nameof(Com2));
        Whole(Pic is { Master: not null, Slave: not null }, nameof(Pic));
        Whole(Pit is { Counters: [not null, not null, not null] }, nameof(Pit));
        Whole(PortB is not null, nameof(PortB));
        Whole(Rtc is { Memory.Length: 128 }, nameof(Rtc));
        Whole(KeyboardController is { Memory.Length: 32, Keyboard.Waiting: not null }, nameof(KeyboardController));
        Whole(PortA is not null, nameof(PortA));
        Whole(ResetControl is not null, nameof(ResetControl));
        Whole(Pci is { HostBridge.Length: 256 }, nameof(Pci));
        Whole(LocalApics is not null && LocalApics.Length == processors, nameof(LocalApics));
        foreach (LocalApicState apic in LocalApics)
        {
            Whole(
                apic is { Requests.Length: 8, InService.Length: 8, TriggerMode.Length: 8, Lvt.Length: LocalApic.LvtCount },
                nameof(LocalApics));
        }

        Whole(IoApic is { Entries.Length: Devices.IoApic.PinCount }, nameof(IoApic));
        Whole(Hpet is { Timers: [not null, not null, not null], Pins.Length: Devices.Hpet.PinCount }, nameof(Hpet));
        Whole(PowerManagement is not null, nameof(PowerManagement));
        Whole(Erst is { Buffer: not null, Records: not null }, nameof(Erst));
        foreach (ErstRecord record in Erst.Records)
        {
            Whole(record is { Contents: not null }, nameof(Erst));
        }

        Whole(PostPort is not null, nameof(PostPort));
    }

    private static void Whole([DoesNotReturnIf(false)] bool whole, string part)
    {
        if (!whole)
        {
            throw new ArgumentException($"saved device state: {part} is missing or not of this machine's size");
        }
    }
}
