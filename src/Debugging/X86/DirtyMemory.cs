using Emulator;
using Emulator.Memory;

namespace Debugging.X86;

/// <summary>Which pages of an address space were written since power-on, when all of RAM was untouched.</summary>
internal static class DirtyMemory
{
    /// <summary>Most table entries looked at for one answer.</summary>
    private const int MostSteps = 1 << 18;

    /// <summary>Fills <paramref name="pages"/> with the written ones from <paramref name="start"/> to <paramref name="last"/>, ascending, and returns how many.</summary>
    public static int Find(IMachineView view, in PagingRegisters registers, ulong start, ulong last, Span<ulong> pages)
    {
        var space = new AddressSpace(view, registers);
        Span<byte> probe = stackalloc byte[1];
        int found = 0;
        ulong at = start & ~(ulong)(GuestMemory.PageSize - 1);
        for (int steps = 0; at <= last && found < pages.Length && steps < MostSteps; steps++)
        {
            MappedRange range = space.Find(at);
            ulong end = Math.Min(range.Last, last);
            for (; range.Mapped && at <= end && found < pages.Length; at += GuestMemory.PageSize)
            {
                ulong physical = range.Physical + (at - range.Start);
                if (!view.IsUntouched(physical) && view.ReadPhysical(physical, probe) == 1)
                {
                    pages[found++] = at;
                }

                if (at > ulong.MaxValue - GuestMemory.PageSize)
                {
                    return found;
                }
            }

            if (range.Last == ulong.MaxValue)
            {
                break;
            }

            at = range.Last + 1;
        }

        return found;
    }
}
