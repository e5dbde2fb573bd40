namespace Emulator.Devices;

/// <summary>One interrupt wire. A device only says its level; what edge or level means is the controller's business.</summary>
public sealed class IrqLine
{
    private readonly Action<bool> levelChanged;
    private bool level;

    /// <summary>A wire into whatever <paramref name="levelChanged"/> feeds (the PIC pair and the I/O APIC together, as on a PC).</summary>
    public IrqLine(Action<bool> levelChanged) => this.levelChanged = levelChanged;

    /// <summary>The level now; part of the device's state, restored through <see cref="Restore"/>.</summary>
    public bool Level => level;

    /// <summary>Drives the wire; nothing happens when the level stays.</summary>
    public void Set(bool high)
    {
        if (level != high)
        {
            level = high;
            levelChanged(high);
        }
    }

    /// <summary>Low to high to low: one edge.</summary>
    public void Pulse()
    {
        Set(false);
        Set(true);
        Set(false);
    }

    /// <summary>Sets the level without telling the controllers, whose own saved state already has it.</summary>
    public void Restore(bool high) => level = high;
}
