using Emulator;
using Emulator.Boot;
using GuestOs.Linux.Symbols;

namespace Bench.Stub;

/// <summary>What a real kernel's memory is like: Debian's, at its panic, from where the kernel lies.</summary>
/// <param name="Bytes">The memory.</param>
/// <param name="Read">Linux's ksys_read(fd, buffer, count) without KASLR: called at every read(2).</param>
internal sealed record KernelMemory(byte[] Bytes, ulong Read)
{
    // arch/x86/kernel/head_64.S: where a kernel that is not moved is unpacked to.
    private const ulong Start = 0x100_0000;

    /// <summary>Boots to a panic and keeps that many bytes from the kernel's first on.</summary>
    public static KernelMemory Take(DebianFiles debian, int length)
    {
        using var machine = new Machine(new MachineOptions { Memory = 256UL << 20 });
        machine.Boot(new BootRequest
        {
            Kernel = File.ReadAllBytes(debian.Kernel),
            Initrd = File.ReadAllBytes(debian.Initrd),
            MemoryMap = [],
            CommandLine = "console=ttyS0 panic=-1 nokaslr gdbstub.do=crash",
        });
        MachineExit exit = machine.Run();
        byte[] bytes = new byte[length];
        if (exit.Kind != MachineExitKind.Reset || machine.ReadPhysical(Start, bytes) != length)
        {
            throw new BenchmarkException($"Debian ended with {exit.Kind}, not with the reset after its panic");
        }

        if (KernelImage.Find(machine)?.Symbols is not { } symbols || !symbols.TryGetAddress("ksys_read", out ulong read))
        {
            throw new BenchmarkException("Debian's kernel has no ksys_read");
        }

        return new KernelMemory(bytes, read);
    }
}

/// <summary>The guest that scripts/fetch-guests makes.</summary>
/// <param name="Kernel">Its bzImage.</param>
/// <param name="Initrd">Its initial RAM disk.</param>
internal sealed record DebianFiles(string Kernel, string Initrd)
{
    /// <summary>Those in a directory; null when they are not there.</summary>
    public static DebianFiles? Find(string? directory)
    {
        var files = new DebianFiles(Path.Combine(directory ?? "", "vmlinuz"), Path.Combine(directory ?? "", "initrd"));
        return directory is not null && File.Exists(files.Kernel) && File.Exists(files.Initrd) ? files : null;
    }
}
