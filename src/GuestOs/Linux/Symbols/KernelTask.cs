namespace GuestOs.Linux.Symbols;

/// <summary>A task: a process's thread, or one of the kernel's own.</summary>
public sealed class KernelTask
{
    internal KernelTask(ulong address) => Address = address;

    /// <summary>Where its struct task_struct is.</summary>
    public ulong Address { get; }

    /// <summary>Its number; 0 for the idle tasks, of which each CPU has one.</summary>
    public int Pid { get; internal set; }

    /// <summary>The number of the process it belongs to.</summary>
    public int ProcessId { get; internal set; }

    /// <summary>Its name, safe to show.</summary>
    public string Name { get; internal set; } = "";

    /// <summary>As ps shows it: R running or ready, S sleeping, D waiting for a device, T stopped, t traced, X dead, Z zombie, P parked, I idle.</summary>
    public char State { get; internal set; }

    /// <summary>The CPU it runs on, or ran on last, by the kernel's number.</summary>
    public int Cpu { get; internal set; }

    /// <summary>The vCPU that is executing it now; null when none is. That vCPU's registers are its registers.</summary>
    public int? Vcpu { get; internal set; }

    /// <summary>It has no memory of its own: a thread of the kernel's.</summary>
    public bool IsKernelThread { get; internal set; }

    /// <summary>Guest-physical address of its top page table; null for the kernel's threads, which borrow one.</summary>
    public ulong? PageTable { get; internal set; }

    /// <summary>The base of FS in its process, where a program keeps its thread's variables; null for the kernel's threads.</summary>
    public ulong? UserFsBase { get; internal set; }

    /// <summary>The base of GS in its process; null for the kernel's threads.</summary>
    public ulong? UserGsBase { get; internal set; }

    /// <summary>
    /// Its registers where it last gave up the CPU, in the kernel's scheduler: those it kept on its stack, the others not
    /// known. Null when it is executing (<see cref="Vcpu"/>) or they cannot be read.
    /// </summary>
    public KernelRegisters? Saved { get; internal set; }

    /// <inheritdoc/>
    public override string ToString() => $"{Pid} {Name} {State}";
}
