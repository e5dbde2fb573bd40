using System.Globalization;
using Emulator;
using Emulator.Boot;

namespace Bench;

/// <summary>One boot of ours, in a process that does nothing else, so that the runtime's start counts as QEMU's does.</summary>
internal static class BootChild
{
    /// <summary>The first argument of such a process.</summary>
    public const string Command = "boot-once";

    /// <summary>The word before the instruction count on standard error.</summary>
    public const string CountMark = "instructions:";

    /// <summary>RAM of every machine in the boot benchmark, QEMU's among them.</summary>
    public const int MemoryMiB = 256;

    /// <summary>Boots, with the guest's console on standard output, until the guest asks for a reset.</summary>
    public static int Run(string directory, string append)
    {
        using Stream console = Console.OpenStandardOutput();
        using var machine = new Machine(new MachineOptions
        {
            Memory = (ulong)MemoryMiB << 20,
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
        Console.Error.WriteLine($"{CountMark} {exit.InstructionCount.ToString(CultureInfo.InvariantCulture)}");
        if (exit.Kind == MachineExitKind.Reset)
        {
            return 0;
        }

        Console.Error.WriteLine($"the machine ended with {exit.Kind} and not with a reset");
        return 1;
    }
}
