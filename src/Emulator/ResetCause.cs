namespace Emulator;

/// <summary>By which of a PC's ways a reset was asked for.</summary>
public enum ResetCause
{
    /// <summary>i8042 command FEh, or its output port's bit 0 driven low.</summary>
    KeyboardController,

    /// <summary>System control port A (92h) bit 0.</summary>
    Port92,

    /// <summary>Reset control register CF9h.</summary>
    PortCf9,

    /// <summary>The reset register the FADT names.</summary>
    AcpiResetRegister,

    /// <summary>A fault while delivering a double fault (SDM vol. 3A §6.15, interrupt 8).</summary>
    TripleFault,

    /// <summary>Real-mode code jumped to the reset vector (F000:FFF0, or FFFF:0000).</summary>
    ResetVector,
}
