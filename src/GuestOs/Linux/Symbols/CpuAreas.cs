using Emulator;

namespace GuestOs.Linux.Symbols;

/// <summary>The kernel's CPUs: where each keeps its variables, what it runs, and which vCPU it is.</summary>
internal sealed class CpuAreas
{
    /// <summary>CPUs looked at: NR_CPUS is at most this.</summary>
    public const int MaxCpus = 8192;

    private const uint GsBase = 0xC000_0101, KernelGsBase = 0xC000_0102;
    private const int Gs = 5;

    private readonly ulong[] offsets;
    private readonly int?[] vcpuOf;

    private CpuAreas(ulong[] offsets, int?[] vcpuOf)
    {
        this.offsets = offsets;
        this.vcpuOf = vcpuOf;
    }

    /// <summary>Number of CPUs that have an area.</summary>
    public int Count => offsets.Length;

    /// <summary>Finds the areas; without __per_cpu_offset (a kernel for one CPU) there are none.</summary>
    public static CpuAreas Read(IMachineView view, KernelMemory memory, SymbolTable symbols, ProblemLog problems)
    {
        var offsets = new List<ulong>();
        if (symbols.TryGetAddress("__per_cpu_offset", out ulong table))
        {
            uint possible = symbols.TryGetAddress("nr_cpu_ids", out ulong countAt) && memory.TryRead(countAt, out uint ids) ? ids : MaxCpus;
            var seen = new HashSet<ulong>();
            for (int cpu = 0; cpu < Math.Min(possible, MaxCpus) && memory.TryRead(table + ((ulong)cpu * 8), out ulong offset); cpu++)
            {
                // CPUs that are not possible have the address of the initial area, or the same as another.
                if (offset < KernelImage.KernelHalf || !seen.Add(offset))
                {
                    break;
                }

                offsets.Add(offset);
            }
        }

        if (offsets.Count == 0)
        {
            problems.Add("CPUs: no per-CPU areas were found");
        }

        return new CpuAreas([.. offsets], Vcpus(view, offsets));
    }

    /// <summary>Where a CPU's copy of a per-CPU variable is.</summary>
    public ulong AddressOf(int cpu, ulong variable) => unchecked(offsets[cpu] + variable);

    /// <summary>The vCPU that is this CPU; null when none is known to be.</summary>
    public int? VcpuOf(int cpu) => (uint)cpu < (uint)vcpuOf.Length ? vcpuOf[cpu] : null;

    /// <summary>The CPU that a vCPU is; null when not known.</summary>
    public int? CpuOf(int vcpu)
    {
        int cpu = Array.IndexOf(vcpuOf, vcpu);
        return cpu < 0 ? null : cpu;
    }

    // In the kernel GS holds a CPU's area; in a process it waits in a register of its own for the way back.
    private static int?[] Vcpus(IMachineView view, List<ulong> offsets)
    {
        var owners = new int?[offsets.Count];
        if (!view.HasRegisters)
        {
            return owners;
        }

        IReadOnlyList<VcpuState> vcpus = view.Vcpus;
        for (int vcpu = 0; vcpu < vcpus.Count; vcpu++)
        {
            VcpuState state = vcpus[vcpu];
            state.Msrs.TryGetValue(GsBase, out ulong gs);
            state.Msrs.TryGetValue(KernelGsBase, out ulong kernelGs);
            foreach (ulong based in (ReadOnlySpan<ulong>)[state.Segments[Gs].Base, gs, kernelGs])
            {
                int cpu = based < KernelImage.KernelHalf ? -1 : offsets.IndexOf(based);
                if (cpu >= 0 && owners[cpu] is null)
                {
                    owners[cpu] = vcpu;
                    break;
                }
            }
        }

        // A vCPU that was reset tells nothing; by number is then as good as any.
        for (int vcpu = 0; vcpu < Math.Min(owners.Length, vcpus.Count); vcpu++)
        {
            if (owners[vcpu] is null && Array.IndexOf(owners, vcpu) < 0)
            {
                owners[vcpu] = vcpu;
            }
        }

        return owners;
    }
}
