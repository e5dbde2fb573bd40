using Emulator;
using Emulator.Memory;

namespace GuestOs.Linux;

/// <summary>
/// A machine out of a file that may be damaged here and there: a page that cannot be read is not there, and what lies
/// elsewhere is told all the same.
/// </summary>
internal sealed class DamagedView(IMachineView below) : IMachineView
{
    /// <summary>What the first damage was; null when none was met.</summary>
    public string? Problem { get; private set; }

    public IReadOnlyList<PhysicalRange> Ram => below.Ram;

    public IReadOnlyList<VcpuState> Vcpus => below.Vcpus;

    public int VcpuCount => below.VcpuCount;

    public int CurrentVcpu => below.CurrentVcpu;

    public ulong InstructionCount => below.InstructionCount;

    public MachineExit? StopCause => below.StopCause;

    public int ReadPhysical(ulong address, Span<byte> destination)
    {
        try
        {
            return below.ReadPhysical(address, destination);
        }
        catch (IOException damage)
        {
            Problem ??= damage.Message;
        }

        int done = 0;
        while (done < destination.Length)
        {
            ulong at = address + (ulong)done;
            Span<byte> page = destination[done..];
            page = page[..Math.Min(page.Length, GuestMemory.PageSize - (int)(at % GuestMemory.PageSize))];
            int read;
            try
            {
                read = below.ReadPhysical(at, page);
            }
            catch (IOException)
            {
                read = 0;
            }

            done += read;
            if (read < page.Length)
            {
                break;
            }
        }

        return done;
    }

    public bool IsUntouched(ulong address)
    {
        try
        {
            return below.IsUntouched(address);
        }
        catch (IOException damage)
        {
            Problem ??= damage.Message;
            return false;
        }
    }

    public void Glance(int vcpu, out VcpuGlance glance) => below.Glance(vcpu, out glance);
}
