namespace Emulator.Devices;

/// <summary>What a device can ask of the machine as a whole. Each takes effect at the end of the instruction that caused it.</summary>
public interface IMachineSignals
{
    /// <summary>A reset is wanted. Nothing is reset: <see cref="IMachineControl.Run"/> returns with the cause.</summary>
    void RequestReset(ResetCause cause);

    /// <summary>Power-off (ACPI S5).</summary>
    void RequestPowerOff();

    /// <summary>A guest program asked to end the process with this exit code (port F4h).</summary>
    void RequestExit(int code);

    /// <summary>The guest reported an event on the pvpanic port: bit 0 panicked, bit 1 crash kernel loaded.</summary>
    void PvPanic(byte events);

    /// <summary>A record was written to the ERST store: a crash report may be in it.</summary>
    void ErstRecordWritten();
}
