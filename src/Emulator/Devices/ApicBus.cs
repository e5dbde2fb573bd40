namespace Emulator.Devices;

/// <summary>
/// What connects local and I/O APICs. Arbitration for lowest priority goes to the processor with the lowest PPR, and
/// among equals to the one with the lowest number, so that it is the same each time.
/// </summary>
internal sealed class ApicBus
{
    private LocalApic[] locals = [];

    /// <summary>Told of each EOI of a level-triggered vector.</summary>
    public IoApic? IoApic { get; set; }

    public void Attach(LocalApic[] apics) => locals = apics;

    /// <summary>Delivers to everyone addressed; false when nobody took it.</summary>
    public bool Deliver(in InterruptMessage message)
    {
        LocalApic? lowest = null;
        bool taken = false;
        foreach (LocalApic apic in locals)
        {
            if (!apic.IsAddressedBy(message))
            {
                continue;
            }

            if (message.Mode == DeliveryMode.LowestPriority)
            {
                if (apic.SoftwareEnabled && (lowest is null || apic.ProcessorPriority < lowest.ProcessorPriority))
                {
                    lowest = apic;
                }
            }
            else
            {
                taken |= apic.Accept(message);
            }
        }

        return lowest is null ? taken : lowest.Accept(message);
    }

    /// <summary>Delivers to all, perhaps but for the sender.</summary>
    public void Broadcast(in InterruptMessage message, LocalApic? except)
    {
        foreach (LocalApic apic in locals)
        {
            if (apic != except && apic.HardwareEnabled)
            {
                apic.Accept(message);
            }
        }
    }

    /// <summary>The EOI message of a level-triggered vector.</summary>
    public void EndOfInterrupt(byte vector) => IoApic?.EndOfInterrupt(vector);
}
