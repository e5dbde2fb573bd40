using Cli.Consoles;
using Cli.Supervision;
using Emulator;
using GuestOs;
using Microsoft.Extensions.Logging;
using Snapshots;

namespace Cli.Running;

/// <summary>The machine of a run: built from the options, booted, and booted again when it is restarted.</summary>
internal sealed class GuestMachine : IGuestMachine, IDisposable
{
    /// <summary>Builds the machine and loads the guest; nothing runs.</summary>
    public GuestMachine(RunOptions options, BootFiles files, IRunEvents events, ILoggerFactory loggers)
    {
        _ = (options, files, events, loggers);
        throw new UserError("this build has no machine yet");
    }

    /// <inheritdoc/>
    public IMachineControl Control => null!;

    /// <summary>The last crash; null when the guest was started again since.</summary>
    public CaptureInfo? LastCrash { get; private set; }

    /// <summary>From now on the guest's serial port and its debug port (null: nowhere) go there.</summary>
    public void Connect(IGuestConsole console, IGuestConsole? debugPort) => _ = (console, debugPort, this);

    /// <summary>Bytes typed at the console. Any thread.</summary>
    public void Type(ReadOnlySpan<byte> bytes) => _ = (bytes.Length, this);

    /// <summary>A break condition on the serial line. Any thread.</summary>
    public void SendBreak() => _ = this;

    /// <summary>A non-maskable interrupt. Any thread.</summary>
    public void InjectNmi() => _ = this;

    /// <summary>The ACPI power button. Any thread.</summary>
    public void PressPowerButton() => _ = this;

    /// <inheritdoc/>
    public TrapVerdict Judge(MachineExit exit) => TrapAnalyzer.Analyze(Control, exit, new TrapEvidence());

    /// <inheritdoc/>
    public ICapture Capture(MachineExit exit, TrapVerdict verdict) => throw new InvalidOperationException();

    /// <inheritdoc/>
    public void Restart() => LastCrash = null;

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
