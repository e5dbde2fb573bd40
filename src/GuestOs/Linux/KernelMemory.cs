using System.Buffers.Binary;
using Emulator;
using Emulator.Memory;

namespace GuestOs.Linux;

/// <summary>
/// Kernel-virtual memory of a Linux guest, read by what its <see cref="VmCoreInfo"/> says, whatever address space the
/// vCPUs are in. Kernel text and data are mapped linearly from FFFFFFFF80000000h on (Documentation/arch/x86/x86_64/mm.rst):
/// physical = virtual − FFFFFFFF80000000h + phys_base. Everything else goes through the kernel's own page tables.
/// </summary>
public sealed class KernelMemory
{
    /// <summary>Where the mapping of the kernel image begins (__START_KERNEL_map).</summary>
    public const ulong ImageMap = 0xFFFF_FFFF_8000_0000;

    private const ulong DefaultImageSize = 0x4000_0000;
    private const ulong PagingOn = 0x8001_0001;
    private const ulong PhysicalAddressExtension = 0x20;
    private const ulong Linear57 = 0x1000;
    private const ulong LongModeNoExecute = 0xD00;

    private readonly IMachineView view;
    private readonly ulong imageSize;
    private readonly PagingRegisters? tables;

    /// <summary>Memory of the kernel that <paramref name="info"/> describes.</summary>
    public KernelMemory(IMachineView view, VmCoreInfo info)
        : this(view, info, null)
    {
    }

    /// <summary>The same, through the given page tables instead of those the kernel names.</summary>
    internal KernelMemory(IMachineView view, VmCoreInfo info, PagingRegisters? registers)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(info);
        this.view = view;
        Info = info;
        imageSize = info.TryGetNumber("KERNEL_IMAGE_SIZE", out long size) && size is > 0 and <= 0x8000_0000 ? (ulong)size : DefaultImageSize;
        tables = registers ?? KernelTables();
    }

    /// <summary>What the kernel says of itself.</summary>
    public VmCoreInfo Info { get; }

    /// <summary>The kernel's own page tables, as a vCPU in kernel mode would have them; null when they are not known.</summary>
    public PagingRegisters? Tables => tables;

    /// <summary>True for addresses of kernel text and data, given by the linear rule.</summary>
    public bool IsImageAddress(ulong address) => address >= ImageMap && address - ImageMap < imageSize;

    /// <summary>The linear rule alone; false outside of the image or when phys_base is not known.</summary>
    public bool TryTranslateImage(ulong address, out ulong physical)
    {
        physical = 0;
        if (Info.PhysicalBase is not long physicalBase || !IsImageAddress(address))
        {
            return false;
        }

        physical = unchecked(address - ImageMap + (ulong)physicalBase);
        return true;
    }

    /// <summary>Translates a kernel address.</summary>
    public bool TryTranslate(ulong address, out ulong physical)
    {
        if (TryTranslateImage(address, out physical))
        {
            return true;
        }

        if (tables is not { } registers || !PageWalker.TryTranslate(view, registers, address, out PageTranslation translation))
        {
            return false;
        }

        physical = translation.Physical;
        return true;
    }

    /// <summary>Translates an address in the address space whose top-level table is at <paramref name="cr3"/>.</summary>
    public bool TryTranslate(ulong address, ulong cr3, out ulong physical)
    {
        PagingRegisters registers = (tables ?? Registers(false)) with { Cr3 = cr3 };
        bool mapped = PageWalker.TryTranslate(view, registers, address, out PageTranslation translation);
        physical = translation.Physical;
        return mapped;
    }

    /// <summary>Copies kernel memory; returns how many bytes were read before the first that is not mapped to RAM.</summary>
    public int Read(ulong address, Span<byte> destination)
    {
        int done = 0;
        while (done < destination.Length)
        {
            ulong at = unchecked(address + (ulong)done);
            int chunk = Math.Min(destination.Length - done, GuestMemory.PageSize - (int)(at % GuestMemory.PageSize));
            if (at < address || !TryTranslate(at, out ulong physical))
            {
                break;
            }

            int read = view.ReadPhysical(physical, destination.Slice(done, chunk));
            done += Math.Clamp(read, 0, chunk);
            if (read < chunk)
            {
                break;
            }
        }

        return done;
    }

    /// <summary>Reads a little-endian 64-bit word.</summary>
    public bool TryRead(ulong address, out ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        bool read = Read(address, bytes) == bytes.Length;
        value = read ? BinaryPrimitives.ReadUInt64LittleEndian(bytes) : 0;
        return read;
    }

    /// <summary>Reads a little-endian 32-bit word.</summary>
    public bool TryRead(ulong address, out uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        bool read = Read(address, bytes) == bytes.Length;
        value = read ? BinaryPrimitives.ReadUInt32LittleEndian(bytes) : 0;
        return read;
    }

    private PagingRegisters? KernelTables()
    {
        bool fiveLevels = Info.TryGetNumber("pgtable_l5_enabled", out long enabled) && enabled == 1;
        if (Info.TryGetSymbol("swapper_pg_dir", out ulong root) && TryTranslateImage(root, out ulong physical))
        {
            return Registers(fiveLevels) with { Cr3 = physical };
        }

        // Kernels before 4.10 do not say phys_base; any address space maps the kernel, so take a vCPU's.
        foreach (VcpuState vcpu in view.Vcpus)
        {
            if ((vcpu.Cr0 & 0x8000_0000) != 0 && (vcpu.Efer & 0x400) != 0)
            {
                return PagingRegisters.Of(vcpu);
            }
        }

        return null;
    }

    private static PagingRegisters Registers(bool fiveLevels) =>
        new(PagingOn, 0, PhysicalAddressExtension | (fiveLevels ? Linear57 : 0), LongModeNoExecute);
}
