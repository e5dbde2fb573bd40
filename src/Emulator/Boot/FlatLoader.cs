namespace Emulator.Boot;

/// <summary>
/// A file without any header, put at an address and entered at its first byte.
/// Real mode is entered as a BIOS enters a boot sector: DL = 80h (first hard disk), SS:SP = 0000:7C00, interrupts off,
/// CS:IP = 0000:address or, above 64 KiB, paragraph:offset. Protected and long mode have ESP/RSP = 7C00h too, and EBX/RBX
/// = 0: nothing is passed to a flat binary, so a command line or a module is refused.
/// </summary>
internal static class FlatLoader
{
    private const ulong StackPointer = 0x7C00;
    private const ulong FirstHardDisk = 0x80;

    public static VcpuState Load(BootSpace space, BootRequest request)
    {
        ulong address = request.FlatAddress
            ?? (request.FlatEntryMode == FlatEntryMode.Real ? StackPointer : throw new BootException("a flat binary needs a load address"));
        if (request.Kernel.IsEmpty)
        {
            throw new BootException("the kernel file is empty");
        }

        if (request.Initrd is not null || request.Modules.Count != 0 || request.CommandLine.Length != 0)
        {
            throw new BootException("a flat binary takes no initrd, no modules and no command line: there is no protocol to pass them by");
        }

        ulong limit = request.FlatEntryMode == FlatEntryMode.Real ? 0x10_0000UL : 0x1_0000_0000UL;
        if (address >= limit)
        {
            throw new BootException($"load address {address:x}h is out of reach in {request.FlatEntryMode} mode; the limit is {limit - 1:x}h");
        }

        space.Take("kernel", address, (ulong)request.Kernel.Length);
        space.Memory.Write(address, request.Kernel.Span);
        VcpuState vcpu = request.FlatEntryMode switch
        {
            FlatEntryMode.Real => EntryState.Real(address, StackPointer),
            FlatEntryMode.Protected => EntryState.Protected(space, address),
            FlatEntryMode.Long => EntryState.Long(space, address),
            _ => throw new BootException($"entry mode {request.FlatEntryMode} is not one of ours"),
        };
        vcpu.Gpr[2] = FirstHardDisk;
        vcpu.Gpr[4] = StackPointer;
        return vcpu;
    }
}
