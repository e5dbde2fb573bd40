namespace Emulator.Devices;

/// <summary>All device state of a machine as a plain record, one property a device.</summary>
public sealed record ChipsetState;
