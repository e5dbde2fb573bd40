using Emulator;
using Snapshots;

namespace Cli.Archives;

/// <summary>
/// An image for what reads all over it: a page that is damaged reads as one that is not there, and is noted, instead of
/// ending everything. Reads the pages of one caller at a time.
/// </summary>
internal sealed class LenientImage(IMachineImage below) : IMachineImage
{
    private const int MostProblems = 10;

    private readonly List<string> problems = [];
    private readonly HashSet<ulong> damaged = [];

    /// <summary>What could not be read, in words for a person; of many the first.</summary>
    public IReadOnlyList<string> Problems => damaged.Count <= problems.Count ? problems : [.. problems, $"{damaged.Count - problems.Count} more pages cannot be read"];

    /// <inheritdoc/>
    public string Path => below.Path;

    /// <inheritdoc/>
    public long Length => below.Length;

    /// <inheritdoc/>
    public string Format => below.Format;

    /// <inheritdoc/>
    public CaptureInfo Capture => below.Capture;

    /// <inheritdoc/>
    public bool HasRegisters => below.HasRegisters;

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
    public MachineState? WholeState => below.WholeState;

    /// <inheritdoc/>
    public int ReadPhysical(ulong address, Span<byte> destination)
    {
        const ulong PageSize = 4096;
        int done = 0;
        while (done < destination.Length)
        {
            ulong at = address + (ulong)done;
            int chunk = (int)Math.Min((ulong)(destination.Length - done), PageSize - (at % PageSize));
            try
            {
                int read = damaged.Contains(at / PageSize) ? 0 : below.ReadPhysical(at, destination.Slice(done, chunk));
                done += read;
                if (read < chunk)
                {
                    break;
                }
            }
            catch (ArchiveException problem)
            {
                Note(at / PageSize, problem);
                break;
            }
        }

        return done;
    }

    /// <inheritdoc/>
    public bool IsUntouched(ulong address)
    {
        try
        {
            return below.IsUntouched(address);
        }
        catch (ArchiveException problem)
        {
            Note(address / 4096, problem);
            return false;
        }
    }

    /// <inheritdoc/>
    public bool IsLeftOut(ulong address) => below.IsLeftOut(address);

    /// <inheritdoc/>
    public void Dispose() => below.Dispose();

    private void Note(ulong page, ArchiveException problem)
    {
        if (damaged.Add(page) && problems.Count < MostProblems)
        {
            problems.Add(problem.Message);
        }
    }
}
