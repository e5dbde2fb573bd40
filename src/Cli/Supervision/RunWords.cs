using Emulator;
using GuestOs;

namespace Cli.Supervision;

/// <summary>The words that events, lists and messages use for kinds and causes. Scripts may rely on them.</summary>
internal static class RunWords
{
    /// <summary>What an end of a guest's run was.</summary>
    public static string Of(TrapKind kind) => kind switch
    {
        TrapKind.None => "none",
        TrapKind.KernelPanic => "panic",
        TrapKind.PanicWithoutReset => "panic-without-reset",
        TrapKind.ResetWithoutReport => "panic-without-report",
        TrapKind.TripleFault => "triple-fault",
        TrapKind.PlainReset => "reset",
        TrapKind.CrashKernel => "crash-kernel",
        TrapKind.PowerOff => "power-off",
        TrapKind.Halted => "halted",
        TrapKind.ExitPort => "exit-port",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, null),
    };

    /// <summary>How a reset was asked for.</summary>
    public static string Of(ResetCause cause) => cause switch
    {
        ResetCause.KeyboardController => "reset by the keyboard controller",
        ResetCause.Port92 => "reset by port 92h",
        ResetCause.PortCf9 => "reset by port CF9h",
        ResetCause.AcpiResetRegister => "reset by the ACPI reset register",
        ResetCause.TripleFault => "reset by a triple fault",
        ResetCause.ResetVector => "reset by a jump to the reset vector",
        _ => throw new ArgumentOutOfRangeException(nameof(cause), cause, null),
    };
}
