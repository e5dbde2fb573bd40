using System.Runtime.CompilerServices;
using Emulator.Devices;

namespace Emulator.Memory;

/// <summary>The guest-physical address space: RAM where <see cref="PhysicalLayout"/> puts it, devices elsewhere.</summary>
public sealed unsafe class PhysicalSpace
{
    private readonly ulong lowPages;
    private readonly ulong highPages;

    /// <summary>Lays <paramref name="memory"/> out; devices are reached through <paramref name="bus"/>.</summary>
    public PhysicalSpace(GuestMemory memory, IoBus bus)
    {
        Memory = memory;
        Bus = bus;
        Ram = RamMap.Ranges(memory.Size);
        lowPages = Math.Min(memory.Size, PhysicalLayout.LowRamLimit) / GuestMemory.PageSize;
        highPages = (memory.Size / GuestMemory.PageSize) - lowPages;
    }

    /// <summary>RAM's pages.</summary>
    public GuestMemory Memory { get; }

    /// <summary>Devices.</summary>
    public IoBus Bus { get; }

    /// <summary>Where RAM shows, ascending.</summary>
    public IReadOnlyList<PhysicalRange> Ram { get; }

    /// <summary>The RAM page behind a physical page number; false where there is no RAM. Answers as <see cref="RamMap.TryFind"/> does.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryRamPage(ulong physicalPage, out ulong ramPage)
    {
        const ulong VgaPage = PhysicalLayout.VgaStart / GuestMemory.PageSize;
        const ulong VgaPages = (PhysicalLayout.VgaEnd / GuestMemory.PageSize) - VgaPage;
        const ulong HighPage = PhysicalLayout.HighRamStart / GuestMemory.PageSize;
        ramPage = physicalPage;
        if (physicalPage < lowPages)
        {
            return physicalPage - VgaPage >= VgaPages;
        }

        ramPage = physicalPage - HighPage + lowPages;
        return physicalPage - HighPage < highPages;
    }

    /// <summary>Where a RAM page shows; the part of it that lies behind the VGA window shows nowhere.</summary>
    internal ulong PhysicalPageOf(ulong ramPage) =>
        ramPage < lowPages ? ramPage : ramPage - lowPages + (PhysicalLayout.HighRamStart / GuestMemory.PageSize);

    /// <summary>Host address of a RAM page for writing.</summary>
    internal byte* WritableRamPage(ulong ramPage) => Memory.WritePage(ramPage);

    /// <summary>Reads a naturally placed 64-bit table entry; all ones where there is no RAM.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal ulong ReadTable64(ulong physical) =>
        TryRamPage(physical >> 12, out ulong page) ? *(ulong*)(Memory.ReadPage(page) + (physical & 0xFF8)) : ulong.MaxValue;

    /// <summary>Writes a naturally placed 64-bit table entry; swallowed where there is no RAM.</summary>
    internal void WriteTable64(ulong physical, ulong value)
    {
        if (TryRamPage(physical >> 12, out ulong page))
        {
            *(ulong*)(WritableRamPage(page) + (physical & 0xFF8)) = value;
        }
    }

    /// <summary>Reads a naturally placed 32-bit table entry; all ones where there is no RAM.</summary>
    internal uint ReadTable32(ulong physical) =>
        TryRamPage(physical >> 12, out ulong page) ? *(uint*)(Memory.ReadPage(page) + (physical & 0xFFC)) : uint.MaxValue;

    /// <summary>Writes a naturally placed 32-bit table entry; swallowed where there is no RAM.</summary>
    internal void WriteTable32(ulong physical, uint value)
    {
        if (TryRamPage(physical >> 12, out ulong page))
        {
            *(uint*)(WritableRamPage(page) + (physical & 0xFFC)) = value;
        }
    }

    /// <summary>Copies RAM out; returns how many bytes stood before the first that is not RAM.</summary>
    public int Read(ulong address, Span<byte> destination)
    {
        int done = 0;
        while (done < destination.Length)
        {
            ulong at = address + (ulong)done;
            int offset = (int)(at & 0xFFF);
            int chunk = Math.Min(destination.Length - done, GuestMemory.PageSize - offset);
            if (at < address || !TryRamPage(at >> 12, out ulong page))
            {
                break;
            }

            new ReadOnlySpan<byte>(Memory.ReadPage(page) + offset, chunk).CopyTo(destination[done..]);
            done += chunk;
        }

        return done;
    }

    /// <summary>Copies into RAM; returns how many bytes were written before the first that is not RAM.</summary>
    public int Write(ulong address, ReadOnlySpan<byte> source)
    {
        int done = 0;
        while (done < source.Length)
        {
            ulong at = address + (ulong)done;
            int offset = (int)(at & 0xFFF);
            int chunk = Math.Min(source.Length - done, GuestMemory.PageSize - offset);
            if (at < address || !TryRamPage(at >> 12, out ulong page))
            {
                break;
            }

            source.Slice(done, chunk).CopyTo(new Span<byte>(WritableRamPage(page) + offset, chunk));
            done += chunk;
        }

        return done;
    }
}
