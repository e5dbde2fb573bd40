namespace GuestOs.Linux.Symbols;

/// <summary>
/// Reads all tasks: the list of processes from init_task on, the list of threads of each, and what each CPU runs
/// (kernel/sched, include/linux/sched.h), laid out as the kernel's BTF says.
/// </summary>
internal sealed class TaskList
{
    /// <summary>Tasks read. PID_MAX_LIMIT is 4 million, and no image that was ever debugged came near.</summary>
    public const int MaxTasks = 1 << 17;

    /// <summary>Links followed in all lists: a thread's may lead through all of memory without meeting a task.</summary>
    public const int MaxLinks = 4 * MaxTasks;

    private const int NameBytes = 16;
    private const uint KernelThread = 0x0020_0000;
    private const uint TaskIdle = 0x402, ReportedStates = 0x7F, LockWait = 0x1000;

    private readonly KernelMemory memory;
    private readonly ProblemLog problems;
    private readonly StructLayout task;
    private readonly StructLayout? mm;
    private readonly StructLayout? saved;
    private readonly string state;
    private readonly string cpu;
    private readonly HashSet<ulong> seen = [];
    private readonly List<KernelTask> found = [];
    private readonly Dictionary<ulong, int> running = [];
    private int linksLeft = MaxLinks;

    private TaskList(KernelMemory memory, Btf types, StructLayout task, ProblemLog problems)
    {
        this.memory = memory;
        this.problems = problems;
        this.task = task;
        mm = StructLayout.Find(memory, types, "mm_struct");
        saved = StructLayout.Find(memory, types, "inactive_task_frame");
        state = task.Has("__state") ? "__state" : "state";
        cpu = task.Has("thread_info.cpu") ? "thread_info.cpu" : "cpu";
    }

    /// <summary>All tasks by their numbers, the CPUs' idle tasks first.</summary>
    public static IReadOnlyList<KernelTask> Read(KernelMemory memory, SymbolTable symbols, Btf? types, CpuAreas cpus, ProblemLog problems)
    {
        StructLayout? task = StructLayout.Find(memory, types, "task_struct");
        if (types is null || task is null || !symbols.TryGetAddress("init_task", out ulong first) || !task.Has("tasks", "pid", "tgid", "comm"))
        {
            problems.Add("tasks: without the kernel's types or init_task they cannot be found");
            return [];
        }

        var list = new TaskList(memory, types, task, problems);
        list.FindRunning(symbols, types, cpus);
        list.Walk(first);
        list.found.Sort((a, b) => a.Pid != b.Pid ? a.Pid.CompareTo(b.Pid) : a.Pid == 0 ? a.Cpu.CompareTo(b.Cpu) : a.Address.CompareTo(b.Address));
        return list.found;
    }

    // What a CPU's run queue calls current is what it executes, whatever the task's own words.
    private void FindRunning(SymbolTable symbols, Btf types, CpuAreas cpus)
    {
        StructLayout? queue = StructLayout.Find(memory, types, "rq");
        if (queue is null || !symbols.TryGetAddress("runqueues", out ulong queues))
        {
            problems.Add("tasks: the run queues were not found, so what runs is not known");
            return;
        }

        var idle = new List<ulong>();
        for (int number = 0; number < cpus.Count; number++)
        {
            ulong at = cpus.AddressOf(number, queues);
            if (queue.TryRead(at, "curr", out ulong current) && current != 0 && cpus.VcpuOf(number) is int vcpu)
            {
                running.TryAdd(current, vcpu);
            }

            if (queue.TryRead(at, "idle", out ulong sleeper) && sleeper != 0)
            {
                idle.Add(sleeper);
            }
        }

        // Idle tasks of all CPUs but the first are on no list.
        idle.ForEach(sleeper => Take(sleeper));
        foreach (ulong current in running.Keys)
        {
            Take(current);
        }
    }

    private void Walk(ulong first)
    {
        ulong link = (ulong)task.Offset("tasks");
        ulong head = first + link;
        var leaders = new HashSet<ulong>();
        for (ulong at = head; ;)
        {
            ulong leader = at - link;
            if (!Take(leader))
            {
                problems.Add($"tasks: the list breaks off after {found.Count}");
                return;
            }

            WalkThreads(leader);
            if (!memory.TryRead(at, out at))
            {
                problems.Add($"tasks: the list breaks off after {found.Count}");
                return;
            }

            if (at == head)
            {
                return;
            }

            if (!leaders.Add(at) || found.Count >= MaxTasks || --linksLeft < 0)
            {
                problems.Add($"tasks: the list goes on after {found.Count}, or round");
                return;
            }
        }
    }

    private void WalkThreads(ulong leader)
    {
        // The head stands in signal_struct (3.15 on); the ring of threads has it as one of its links.
        if (!task.Has("thread_node", "signal") || !task.TryRead(leader, "signal", out ulong signal) || signal == 0)
        {
            return;
        }

        ulong link = (ulong)task.Offset("thread_node");
        ulong start = leader + link;
        var links = new HashSet<ulong> { start };
        for (ulong at = start; memory.TryRead(at, out at) && at != start;)
        {
            if (!links.Add(at) || found.Count >= MaxTasks || --linksLeft < 0)
            {
                problems.Add($"tasks: the threads of one process go on after {links.Count}, or round");
                return;
            }

            // The head is no task: what would be its signal is not.
            ulong thread = at - link;
            if (task.TryRead(thread, "signal", out ulong own) && own == signal)
            {
                Take(thread);
            }
        }
    }

    private bool Take(ulong address)
    {
        if (!seen.Add(address))
        {
            return true;
        }

        if (found.Count >= MaxTasks || !task.TryRead(address, "pid", out uint pid) || !task.TryRead(address, "tgid", out uint group))
        {
            return false;
        }

        var one = new KernelTask(address)
        {
            Pid = (int)pid,
            ProcessId = (int)group,
            Name = task.ReadText(address, "comm", NameBytes),
            State = ReadState(address),
            Cpu = task.TryRead(address, cpu, out uint number) ? (int)(number & 0xFFFF) : 0,
            Vcpu = running.TryGetValue(address, out int vcpu) ? vcpu : null,
            IsKernelThread = task.TryRead(address, "flags", out uint flags) && (flags & KernelThread) != 0,
        };
        if (task.TryRead(address, "mm", out ulong own) && own != 0 && mm is not null && mm.TryRead(own, "pgd", out ulong tables)
            && memory.TryTranslate(tables, out ulong physical))
        {
            one.PageTable = physical;
            one.UserFsBase = task.TryRead(address, "thread.fsbase", out ulong fs) ? fs : null;
            one.UserGsBase = task.TryRead(address, "thread.gsbase", out ulong gs) ? gs : null;
        }

        // What a task that executes left on its stack is from the last time it slept.
        bool executing = one.Vcpu is not null || (task.TryRead(address, "on_cpu", out uint on) && on != 0);
        one.Saved = executing ? null : ReadSaved(address);
        found.Add(one);
        return true;
    }

    private char ReadState(ulong address)
    {
        const string Letters = "RSDTtXZPI";
        uint exit = 0;
        if (!task.TryRead(address, state, out uint value))
        {
            return '?';
        }

        _ = task.TryRead(address, "exit_state", out exit);
        if (value == TaskIdle)
        {
            return 'I';
        }

        uint reported = (value | exit) & ReportedStates;
        return (value & LockWait) != 0 ? 'D' : Letters[reported == 0 ? 0 : System.Numerics.BitOperations.Log2(reported) + 1];
    }

    // __switch_to_asm leaves the callee's registers on the stack, the place it returns to above them.
    private KernelRegisters? ReadSaved(ulong address)
    {
        if (!task.TryRead(address, "thread.sp", out ulong sp))
        {
            return null;
        }

        (int Register, string Member, int Offset)[] places =
        [
            (KernelRegisters.R15, "r15", 0), (KernelRegisters.R14, "r14", 8), (KernelRegisters.R13, "r13", 16), (KernelRegisters.R12, "r12", 24),
            (KernelRegisters.Rbx, "bx", 32), (KernelRegisters.Rbp, "bp", 40), (KernelRegisters.Rip, "ret_addr", 48),
        ];
        var registers = new KernelRegisters();
        foreach ((int register, string member, int usual) in places)
        {
            int offset = saved is not null && saved.Has(member) ? saved.Offset(member) : usual;
            if (!memory.TryRead(sp + (ulong)offset, out ulong value))
            {
                return null;
            }

            registers.Set(register, value);
        }

        registers.Set(KernelRegisters.Rsp, sp + (ulong)(saved is { Size: > 0 and < 256 } ? saved.Size : 56));
        return registers;
    }
}
