using Debugging.Commands;
using Emulator;

namespace Debugging;

/// <summary>What is known of the guest in a machine; the composition provides it.</summary>
public interface IGuestInformation
{
    /// <summary>The guest kernel's own log, lines ended by '\n'; null when it cannot be found.</summary>
    string? KernelLog(IMachineView view);

    /// <summary>What the guest is and what became of it, a few lines ended by '\n'; null when nothing is known.</summary>
    string? Describe(IMachineView view);
}

/// <summary>How a machine is presented.</summary>
public sealed record DebugOptions
{
    /// <summary>Knowledge of the guest for <c>monitor dmesg</c> and <c>monitor info</c>.</summary>
    public IGuestInformation? Guest { get; init; }

    /// <summary>Monitor commands beside the built-in ones.</summary>
    public IReadOnlyList<MonitorCommand> Commands { get; init; } = [];

    /// <summary>What a debugger's user reads who lets an image continue or step.</summary>
    public string CannotRun { get; init; } =
        "this is an archived machine, which does not run: examine its registers and memory, then detach; start a machine with 'gdbstub run'";

    /// <summary>What one reads who writes to an image that takes no writes.</summary>
    public string CannotWrite { get; init; } = "this image is read-only";
}
