namespace Emulator.Devices;

/// <summary>How an interrupt message acts at its target (SDM vol. 3A §10.6.1, the same code in the ICR, LVTs and I/O APIC entries).</summary>
internal enum DeliveryMode
{
    Fixed = 0,
    LowestPriority = 1,
    Smi = 2,
    Nmi = 4,
    Init = 5,
    StartUp = 6,
    ExtInt = 7,
}

/// <summary>A message on the way to local APICs.</summary>
/// <param name="Mode">What it does.</param>
/// <param name="Vector">Its vector, or the start-up page.</param>
/// <param name="LevelTriggered">The target's EOI is told to the I/O APIC.</param>
/// <param name="Logical">The destination is a logical one.</param>
/// <param name="Destination">Whom it is for.</param>
/// <param name="Wide">32-bit destination (x2APIC); otherwise 8 bits, FFh for all.</param>
internal readonly record struct InterruptMessage(
    DeliveryMode Mode, byte Vector, bool LevelTriggered, bool Logical, uint Destination, bool Wide);
