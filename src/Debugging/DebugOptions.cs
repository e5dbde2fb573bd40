using Debugging.Commands;
using Debugging.Kernels;
using Emulator;

namespace Debugging;

/// <summary>What is known of the guest in a machine; the composition provides it.</summary>
public interface IGuestInformation
{
    /// <summary>The guest kernel's own log, lines ended by '\n'; null when it cannot be found.</summary>
    string? KernelLog(IMachineView view);

    /// <summary>What the guest is and what became of it, a few lines ended by '\n'; null when nothing is known.</summary>
    string? Describe(IMachineView view);

    /// <summary>The crash in the guest's own words, for <c>monitor panic</c>; null when nothing is known of one.</summary>
    string? Panic(IMachineView view) => null;

    /// <summary>
    /// What was kept of the kernel's VMCOREINFO when the machine was: with it, memory need not be searched while a debugger
    /// waits, which takes gdb's patience of two seconds in a machine of many gigabytes. Null when nothing was.
    /// </summary>
    string? KnownVmcoreinfo => null;

    /// <summary>The kernel's VMCOREINFO text, which drgn asks for; null when there is none.</summary>
    ReadOnlyMemory<byte>? Vmcoreinfo(IMachineView view) => null;

    /// <summary>Where the kernel's text was loaded, for debuggers with its symbol file; null when that is not known.</summary>
    ulong? TextSegment(IMachineView view) => null;
}

/// <summary>How a machine is presented.</summary>
public sealed record DebugOptions
{
    /// <summary>Knowledge of the guest for <c>monitor dmesg</c> and <c>monitor info</c>.</summary>
    public IGuestInformation? Guest { get; init; }

    /// <summary>What debuggers are given of Linux kernels in the guests; null leaves them with bytes and vCPUs.</summary>
    public KernelSymbols? Kernels { get; init; }

    /// <summary>Monitor commands beside the built-in ones.</summary>
    public IReadOnlyList<MonitorCommand> Commands { get; init; } = [];

    /// <summary>An image runs, in a private copy, as soon as it is continued or stepped; else only after <c>monitor fork</c>.</summary>
    public bool Resume { get; init; }

    /// <summary>Ends the server for <c>monitor quit</c> and says so; null where a debugger may not.</summary>
    public Func<string>? Quit { get; init; }

    /// <summary>What a debugger's user reads who lets an image run that does not; null for words of our own.</summary>
    public string? CannotRun { get; init; }

    /// <summary>What one reads who writes to an image that takes no writes.</summary>
    public string CannotWrite { get; init; } = "this image is read-only";
}
