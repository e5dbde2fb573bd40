namespace Guests;

/// <summary>All guests, by name.</summary>
public static class GuestCatalog
{
    /// <summary>All guests; the ACPI reset one uses CF9h with 0Fh, which is the reset register QEMU's FADT names.</summary>
    public static IReadOnlyList<Guest> All { get; } =
    [
        HelloGuests.Multiboot(), HelloGuests.Pvh(), HelloGuests.BootSector(), HelloGuests.ThreeModes(),
        ResetGuests.KeyboardController(), ResetGuests.Port92(), ResetGuests.PortCf9(), ResetGuests.AcpiRegister(0xCF9, 0x0F),
        ResetGuests.TripleFault(), ResetGuests.ResetVector(),
        ScribbleGuest.Create(), SelfModifyingGuest.Create(), PagingGuest.Create(), ExceptionsGuest.Create(), TimersGuest.Create(),
    ];

    /// <summary>The guest of that name.</summary>
    public static Guest Get(string name) => All.Single(guest => guest.Name == name);
}
