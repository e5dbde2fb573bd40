using System.Globalization;
using Emulator;
using Emulator.Boot;

namespace Bench;

/// <summary>One boot of ours, in a process that does nothing else, so that the runtime's start counts as QEMU's does.</summary>
internal static class BootChild
{
    /// <summary>The first argument of such a process.</summary>
    public const string Command = "boot-once";

    /// <summary>The word before the instructions executed and the nanoseconds halted, on standard error.</summary>
    public const string CountMark = "instructions:";

    /// <summary>RAM of every machine in the boot benchmark, QEMU's among them.</summary>
    public const int MemoryMiB = 256;

    /// <summary>Boots, with the guest's console on standard output, until the guest asks for a reset.</summary>
    public static int Run(string directory, string append)
    {
        using Stream console = Console.OpenStandardOutput();
        ulong halted = 0;
        using var machine = new Machine(new MachineOptions
        {
            Memory = (ulong)MemoryMiB << 20,
            // Passes at once, as without it, and is counted.
            Idle = nanoseconds =>
            {
                halted += nanoseconds;
                return nanoseconds;
            },
            Com1Output = value => console.WriteByte(value),
        });
        machine.Boot(new BootRequest
        {
            Kernel = File.ReadAllBytes(Path.Combine(directory, "vmlinuz")),
            Initrd = File.ReadAllBytes(Path.Combine(directory, "initrd")),
            MemoryMap = [],
            CommandLine = append,
        });
        MachineExit exit = machine.Run();
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{CountMark} {exit.InstructionCount - halted} {halted}"));
        if (exit.Kind == MachineExitKind.Reset)
        {
            return 0;
        }

        Console.Error.WriteLine($"the machine ended with {exit.Kind} and not with a reset");
        return 1;
    }
}
