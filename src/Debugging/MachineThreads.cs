using System.Buffers.Binary;
using System.Globalization;
using Debugging.Commands;
using Debugging.Kernels;
using Debugging.X86;
using Emulator;
using Emulator.Memory;
using GdbStub.Targets;
using GuestOs.Linux.Symbols;

namespace Debugging;

/// <summary>
/// The threads of a machine and what can be told of each: the vCPUs, vCPU n being thread n + 1, and behind them the tasks of
/// its kernel. Looked at again when the machine may have changed; the caller is visiting it.
/// </summary>
internal sealed class MachineThreads(IMachineConnection connection, KernelLook? kernel, bool listsTasks)
{
    private readonly OrderedDictionary<int, KernelTask> tasks = [];
    private IMachineAccess? seen;
    private long version;
    private VcpuGlance[] glances = [];
    private IReadOnlyList<VcpuState>? states;
    private TargetThread[] vcpus = [];
    private VcpuGlance[] described = [];
    private TargetThread[]? all;

    /// <summary>The vCPUs. Asked for at every step.</summary>
    public IReadOnlyList<TargetThread> Vcpus(IMachineView view)
    {
        Refresh(view);

        // The words are made again only when they would be others.
        bool same = vcpus.Length == glances.Length;
        for (int i = 0; same && i < vcpus.Length; i++)
        {
            same = MonitorText.SameMode(glances[i], described[i]);
        }

        if (!same)
        {
            described = [.. glances];
            vcpus = new TargetThread[glances.Length];
            for (int i = 0; i < vcpus.Length; i++)
            {
                vcpus[i] = new TargetThread(i + 1, string.Create(CultureInfo.InvariantCulture, $"vCPU {i}"), MonitorText.Mode(glances[i]), i);
            }
        }

        return vcpus;
    }

    /// <summary>The vCPUs and what each executes, and the tasks.</summary>
    public IReadOnlyList<TargetThread> All(IMachineView view)
    {
        IReadOnlyList<TargetThread> cpus = Vcpus(view);
        if (!listsTasks)
        {
            return cpus;
        }

        if (all is null)
        {
            ReadTasks(view);
            var list = new List<TargetThread>(cpus.Count + tasks.Count);
            foreach (TargetThread cpu in cpus)
            {
                KernelTask? task = tasks.Values.FirstOrDefault(task => task.Vcpu == cpu.Id - 1);
                list.Add(task is null ? cpu : cpu with { State = string.Create(CultureInfo.InvariantCulture, $"{cpu.State}, pid {task.Pid} {task.Name}") });
            }

            list.AddRange(tasks.Select(pair => TaskThreads.Of(pair.Value, pair.Key)));
            all = [.. list];
        }

        return all;
    }

    /// <summary>The task that a thread is; null of a vCPU.</summary>
    public KernelTask? TaskOf(IMachineView view, int thread)
    {
        if (thread <= glances.Length || !listsTasks)
        {
            return null;
        }

        All(view);
        return tasks.TryGetValue(thread, out KernelTask? task) ? task : null;
    }

    /// <summary>The vCPU that a thread is, or that executes it; null of a task that waits.</summary>
    public int? VcpuOf(IMachineView view, int thread)
    {
        Refresh(view);
        return thread <= glances.Length ? thread - 1 : TaskOf(view, thread)?.Vcpu is int vcpu && vcpu < glances.Length ? vcpu : null;
    }

    /// <summary>A vCPU's registers.</summary>
    public VcpuState StateOf(IMachineView view, int vcpu)
    {
        Refresh(view);
        return (states ??= view.Vcpus)[vcpu];
    }

    /// <summary>Reads a register of a thread; false when its value is not known.</summary>
    public bool TryReadRegister(IMachineView view, int thread, int register, Span<byte> value)
    {
        bool known;
        if (VcpuOf(view, thread) is int vcpu)
        {
            known = X86Registers.TryRead(glances[vcpu], register, out ulong bits);
            if (!known)
            {
                return X86Registers.TryRead(StateOf(view, vcpu), view.InstructionCount, register, value);
            }

            Write(bits, value);
            return true;
        }

        ulong saved = 0;
        known = TaskOf(view, thread) is { } task && X86Registers.TryRead(task, register, out saved);
        Write(saved, value);
        return known;
    }

    /// <summary>What decides about a thread's addresses.</summary>
    public PagingRegisters PagingOf(IMachineView view, int thread)
    {
        Refresh(view);
        if (TaskOf(view, thread) is { Vcpu: null } task && kernel?.Of(connection.Access, view)?.Memory.Tables is { } tables)
        {
            // A thread of the kernel's has no memory of its own, and sees the kernel's wherever it happens to be.
            return task.PageTable is ulong own ? tables with { Cr3 = own } : tables;
        }

        return VirtualMemory.RegistersOf(glances[VcpuOf(view, thread) ?? view.CurrentVcpu]);
    }

    private static void Write(ulong bits, Span<byte> value)
    {
        Span<byte> wide = stackalloc byte[16];
        wide.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(wide, bits);
        wide[..value.Length].CopyTo(value);
    }

    private void ReadTasks(IMachineView view)
    {
        tasks.Clear();
        foreach (KernelTask task in kernel?.Of(connection.Access, view)?.Tasks ?? [])
        {
            if (TaskThreads.NumberOf(task) is > 0 and int number)
            {
                tasks.TryAdd(number, task);
            }
        }
    }

    private void Refresh(IMachineView view)
    {
        IMachineAccess access = connection.Access;
        if (seen == access && version == access.Version)
        {
            return;
        }

        states = null;
        all = null;
        if (seen != access)
        {
            glances = new VcpuGlance[view.VcpuCount];
        }

        for (int i = 0; i < glances.Length; i++)
        {
            view.Glance(i, out glances[i]);
        }

        (seen, version) = (access, access.Version);
    }
}
