using System.Text;

namespace Emulator.Boot;

/// <summary>
/// Puts a kernel into RAM as a firmware and a boot loader together would, and says in which state the first vCPU enters
/// it. There is no firmware in the machine: no BIOS interrupts, and all-zero real-mode vectors.
/// </summary>
public static class BootLoader
{
    /// <summary>
    /// Loads what <paramref name="request"/> names. The format is recognised in this order: bzImage, ELF with a PVH note,
    /// Multiboot header, flat binary if an address was given. Everything in the files is checked; whatever does not fit
    /// is a <see cref="BootException"/> that says what and why. RAM may have been written in part when it is thrown.
    /// </summary>
    public static BootedGuest Load(IBootMemory memory, BootRequest request)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(request);
        CheckRequest(request);

        KernelFormat format = request.Format ?? Recognise(request);
        var space = new BootSpace(memory, request.MemoryMap);
        VcpuState vcpu = format switch
        {
            KernelFormat.LinuxBzImage => LinuxLoader.Load(space, request),
            KernelFormat.Pvh => PvhLoader.Load(space, request),
            KernelFormat.Multiboot => MultibootLoader.Load(space, request),
            KernelFormat.Flat => FlatLoader.Load(space, request),
            _ => throw new BootException($"kernel format {format} is not one of ours"),
        };
        return new BootedGuest(format, vcpu, space.Placements);
    }

    /// <summary>What the file is, or null when no loader knows it. Only looks for the marks, checks nothing else.</summary>
    public static KernelFormat? Recognise(ReadOnlyMemory<byte> kernel) =>
        LinuxLoader.IsBzImage(kernel.Span) ? KernelFormat.LinuxBzImage
        : ElfImage.IsElf(kernel.Span) && PvhLoader.HasEntryNote(kernel) ? KernelFormat.Pvh
        : MultibootLoader.FindHeader(kernel.Span) >= 0 ? KernelFormat.Multiboot
        : null;

    /// <summary>The command line with its terminating zero.</summary>
    internal static byte[] CommandLineBytes(BootRequest request, int limit, string limitName)
    {
        if (request.CommandLine.Contains('\0'))
        {
            throw new BootException("the command line has a NUL character in it");
        }

        int length = Encoding.UTF8.GetByteCount(request.CommandLine);
        if (length > limit)
        {
            throw new BootException($"the command line is {length} bytes long; {limitName} allows {limit}");
        }

        var bytes = new byte[length + 1];
        Encoding.UTF8.GetBytes(request.CommandLine, bytes);
        return bytes;
    }

    /// <summary>Initrd and modules as one list.</summary>
    internal static List<BootModule> AllModules(BootRequest request)
    {
        List<BootModule> modules = request.Initrd is { } initrd ? [new BootModule("initrd", initrd)] : [];
        modules.AddRange(request.Modules);
        return modules.Count <= BootLimits.Modules
            ? modules
            : throw new BootException($"{modules.Count} modules; {BootLimits.Modules} is the limit");
    }

    private static KernelFormat Recognise(BootRequest request)
    {
        ReadOnlySpan<byte> kernel = request.Kernel.Span;
        if (Recognise(request.Kernel) is { } format)
        {
            return format;
        }

        if (request.FlatAddress is not null)
        {
            return KernelFormat.Flat;
        }

        string what = kernel.IsEmpty ? "the kernel file is empty"
            : ElfImage.IsElf(kernel) ? "the kernel is an ELF file with neither a PVH entry note nor a Multiboot header"
            : kernel.StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B]) ? "the kernel file is gzip-compressed; unpack it first"
            : "the kernel file is not a bzImage, not an ELF file with a PVH entry note, and has no Multiboot header";
        throw new BootException($"{what}; give a load address to boot it as a flat binary");
    }

    private static void CheckRequest(BootRequest request)
    {
        if (request.MemoryMap.Count is 0 or > BootLimits.MemoryMapEntries)
        {
            throw new BootException($"the memory map has {request.MemoryMap.Count} entries; 1 to {BootLimits.MemoryMapEntries} are needed");
        }

        ulong end = 0;
        foreach (E820Entry entry in request.MemoryMap)
        {
            if (entry.Start < end || entry.Length == 0 || entry.End < entry.Start)
            {
                throw new BootException($"memory map entry {entry.Start:x}h+{entry.Length:x}h is empty, out of order, or overlaps the one before");
            }

            end = entry.End;
        }
    }
}
