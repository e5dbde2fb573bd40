using Emulator;
using Emulator.Memory;

namespace Snapshots;

/// <summary>
/// A private, changeable copy of a view for one debugger session: pages and registers are copied when they are first
/// written, and what is below never changes. Belongs to one session; not thread-safe.
/// </summary>
public sealed class OverlayView : IMutableMachineView, IDisposable
{
    private readonly IMachineView below;
    private readonly Dictionary<ulong, byte[]> pages = [];
    private readonly bool owns;
    private VcpuState[]? vcpus;

    /// <summary>An overlay that so far equals <paramref name="below"/>, which is disposed with it if <paramref name="owns"/> says so.</summary>
    public OverlayView(IMachineView below, bool owns = false)
    {
        ArgumentNullException.ThrowIfNull(below);
        this.owns = owns;
        this.below = below;
    }

    /// <summary>Pages that differ, or may.</summary>
    public int PagesWritten => pages.Count;

    /// <inheritdoc/>
    public IReadOnlyList<PhysicalRange> Ram => below.Ram;

    /// <inheritdoc/>
    public IReadOnlyList<VcpuState> Vcpus => vcpus ?? below.Vcpus;

    /// <inheritdoc/>
    public bool HasRegisters => below.HasRegisters;

    /// <inheritdoc/>
    public int CurrentVcpu => below.CurrentVcpu;

    /// <inheritdoc/>
    public ulong InstructionCount => below.InstructionCount;

    /// <inheritdoc/>
    public MachineExit? StopCause => below.StopCause;

    /// <inheritdoc/>
    public ExceptionJournal? Journal => below.Journal;

    /// <inheritdoc/>
    public MachineState? WholeState => below.WholeState is { } state && vcpus is not null ? state with { Vcpus = [.. vcpus] } : below.WholeState;

    /// <inheritdoc/>
    public int ReadPhysical(ulong address, Span<byte> destination)
    {
        if (pages.Count == 0)
        {
            return below.ReadPhysical(address, destination);
        }

        int done = 0;
        while (done < destination.Length)
        {
            int inPage = (int)((address + (ulong)done) % GuestMemory.PageSize);
            int chunk = Math.Min(destination.Length - done, GuestMemory.PageSize - inPage);
            Span<byte> part = destination.Slice(done, chunk);
            int read = chunk;
            if (pages.TryGetValue((address + (ulong)done) / GuestMemory.PageSize, out byte[]? page))
            {
                page.AsSpan(inPage, chunk).CopyTo(part);
            }
            else
            {
                read = below.ReadPhysical(address + (ulong)done, part);
            }

            done += read;
            if (read < chunk)
            {
                break;
            }
        }

        return done;
    }

    /// <inheritdoc/>
    public int WritePhysical(ulong address, ReadOnlySpan<byte> source)
    {
        int done = 0;
        while (done < source.Length)
        {
            ulong number = (address + (ulong)done) / GuestMemory.PageSize;
            if (!pages.TryGetValue(number, out byte[]? page))
            {
                page = new byte[GuestMemory.PageSize];
                if (below.ReadPhysical(number * GuestMemory.PageSize, page) != page.Length)
                {
                    break;
                }

                pages.Add(number, page);
            }

            int inPage = (int)((address + (ulong)done) % GuestMemory.PageSize);
            int chunk = Math.Min(source.Length - done, GuestMemory.PageSize - inPage);
            source.Slice(done, chunk).CopyTo(page.AsSpan(inPage));
            done += chunk;
        }

        return done;
    }

    /// <inheritdoc/>
    public bool IsUntouched(ulong address) =>
        !pages.ContainsKey(address / GuestMemory.PageSize) && below.IsUntouched(address);

    /// <inheritdoc/>
    public void SetVcpu(int index, VcpuState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Vcpus.Count);
        if (VcpuStateCheck.Problem(state) is { } problem)
        {
            throw new ArgumentException($"No CPU can be in this state: {problem}.", nameof(state));
        }

        vcpus ??= [.. below.Vcpus];
        vcpus[index] = state;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (owns)
        {
            (below as IDisposable)?.Dispose();
        }
    }
}
