using Emulator;
using Emulator.Memory;

namespace Debugging.X86;

/// <summary>
/// Memory as a vCPU sees it. A kernel address that the present page tables do not map is looked up once more through the
/// kernel's own: with page table isolation Linux runs user code under a second PGD that lies one page above the kernel's
/// (CR3 bit 12), and a machine stopped there would otherwise hide its kernel. Source: Linux, Documentation/arch/x86/pti.rst.
/// </summary>
internal static class VirtualMemory
{
    private const ulong UserTables = 0x1000;

    /// <summary>What decides about translation.</summary>
    public static PagingRegisters RegistersOf(in VcpuGlance vcpu) => new(vcpu.Cr0, vcpu.Cr3, vcpu.Cr4, vcpu.Efer);

    /// <summary>Reads; returns the bytes read before the first that is not mapped to RAM.</summary>
    public static int Read(IMachineView view, in PagingRegisters registers, ulong address, Span<byte> destination)
    {
        int done = 0;
        while (done < destination.Length)
        {
            int chunk = Chunk(address + (ulong)done, destination.Length - done);
            if (!TryTranslate(view, registers, address + (ulong)done, out ulong physical))
            {
                break;
            }

            int read = view.ReadPhysical(physical, destination.Slice(done, chunk));
            done += read;
            if (read < chunk)
            {
                break;
            }
        }

        return done;
    }

    /// <summary>Writes, whatever the page's protection; returns the bytes written before the first that is not mapped to RAM.</summary>
    public static int Write(IMutableMachineView view, in PagingRegisters registers, ulong address, ReadOnlySpan<byte> source)
    {
        int done = 0;
        while (done < source.Length)
        {
            int chunk = Chunk(address + (ulong)done, source.Length - done);
            if (!TryTranslate(view, registers, address + (ulong)done, out ulong physical))
            {
                break;
            }

            int written = view.WritePhysical(physical, source.Slice(done, chunk));
            done += written;
            if (written < chunk)
            {
                break;
            }
        }

        return done;
    }

    private static int Chunk(ulong address, int wanted) => (int)Math.Min((ulong)wanted, GuestMemory.PageSize - (address & (GuestMemory.PageSize - 1)));

    /// <summary>Translates, by the kernel's own tables where the present ones have no kernel.</summary>
    public static bool TryTranslate(IMachineView view, in PagingRegisters registers, ulong linear, out ulong physical)
    {
        bool found = PageWalker.TryTranslate(view, registers, linear, out PageTranslation translation);
        if (!found && (long)linear < 0 && (registers.Cr3 & UserTables) != 0)
        {
            found = PageWalker.TryTranslate(view, registers with { Cr3 = registers.Cr3 & ~UserTables }, linear, out translation);
        }

        physical = translation.Physical;
        return found;
    }
}
