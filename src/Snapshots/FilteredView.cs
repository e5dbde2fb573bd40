using System.Collections;
using Emulator;
using Emulator.Memory;

namespace Snapshots;

/// <summary>A machine of which pages are left out: what an export is told not to hold.</summary>
public sealed class FilteredView : IPartialView
{
    private const ulong PageSize = GuestMemory.PageSize;

    private readonly IMachineView below;
    private readonly BitArray[] leftOut;

    /// <summary>Asks of every page once whether it is left out.</summary>
    /// <param name="below">The machine. What it leaves out itself stays left out.</param>
    /// <param name="isLeftOut">Whether the page at a guest-physical address is left out.</param>
    /// <param name="maximumRuns">
    /// The most runs of pages that may stand apart from each other afterwards: where there would be more, the shortest gaps
    /// are kept, since a page too much does no harm. Not to be kept to when the machine itself leaves out more.
    /// </param>
    public FilteredView(IMachineView below, Func<ulong, bool> isLeftOut, int maximumRuns = int.MaxValue)
    {
        ArgumentNullException.ThrowIfNull(below);
        ArgumentNullException.ThrowIfNull(isLeftOut);
        this.below = below;
        leftOut = [.. below.Ram.Select(range => new BitArray((int)(range.Length / PageSize)))];
        for (int range = 0; range < leftOut.Length; range++)
        {
            for (int page = 0; page < leftOut[range].Length; page++)
            {
                leftOut[range][page] = isLeftOut(below.Ram[range].Start + ((ulong)page * PageSize));
            }
        }

        for (int shortest = 2; shortest < 1 << 30 && CountRuns() > maximumRuns; shortest *= 2)
        {
            KeepGapsBelow(shortest);
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<PhysicalRange> Ram => below.Ram;

    /// <inheritdoc/>
    public IReadOnlyList<VcpuState> Vcpus => below.Vcpus;

    /// <inheritdoc/>
    public int CurrentVcpu => below.CurrentVcpu;

    /// <inheritdoc/>
    public ulong InstructionCount => below.InstructionCount;

    /// <inheritdoc/>
    public MachineExit? StopCause => below.StopCause;

    /// <inheritdoc/>
    public bool IsLeftOut(ulong address)
    {
        for (int range = 0; range < leftOut.Length; range++)
        {
            ulong offset = address - below.Ram[range].Start;
            if (offset < below.Ram[range].Length)
            {
                return leftOut[range][(int)(offset / PageSize)] || (below is IPartialView partial && partial.IsLeftOut(address));
            }
        }

        return false;
    }

    /// <inheritdoc/>
    public bool IsUntouched(ulong address) => below.IsUntouched(address) && !IsLeftOut(address);

    /// <inheritdoc/>
    public int ReadPhysical(ulong address, Span<byte> destination)
    {
        int done = 0;
        while (done < destination.Length)
        {
            ulong at = address + (ulong)done;
            int chunk = Math.Min(destination.Length - done, GuestMemory.PageSize - (int)(at % PageSize));
            int read = IsLeftOut(at) ? 0 : below.ReadPhysical(at, destination.Slice(done, chunk));
            done += read;
            if (read < chunk)
            {
                break;
            }
        }

        return done;
    }

    private int CountRuns()
    {
        int runs = 0;
        foreach (BitArray pages in leftOut)
        {
            for (int page = 0; page < pages.Length; page++)
            {
                runs += !pages[page] && (page == 0 || pages[page - 1]) ? 1 : 0;
            }
        }

        return runs;
    }

    private void KeepGapsBelow(int shortest)
    {
        foreach (BitArray pages in leftOut)
        {
            for (int page = 0; page < pages.Length;)
            {
                int end = page;
                while (end < pages.Length && pages[end])
                {
                    end++;
                }

                if (end - page < shortest && page > 0 && end < pages.Length)
                {
                    for (; page < end; page++)
                    {
                        pages[page] = false;
                    }
                }

                page = end + 1;
            }
        }
    }
}
