using System.Globalization;
using GdbStub.Targets;
using GuestOs.Linux.Symbols;

namespace Debugging.Kernels;

/// <summary>Tasks as threads. A task's thread number ends in its pid, so that one knows it by sight and it stays the same at every stop.</summary>
internal static class TaskThreads
{
    /// <summary>Thread number of pid 0; Linux's greatest pid is 4194304 (PID_MAX_LIMIT).</summary>
    public const int FirstPid = 10_000_000;

    /// <summary>Thread number of the idle task of CPU 0; they all have pid 0.</summary>
    public const int FirstIdle = 9_000_000;

    private const int MaxPid = 1 << 22;

    /// <summary>The thread number of a task; 0 for one that no kernel could have.</summary>
    public static int NumberOf(KernelTask task) =>
        task.Pid == 0 ? FirstIdle + task.Cpu : task.Pid is > 0 and <= MaxPid ? FirstPid + task.Pid : 0;

    /// <summary>The task as a debugger lists it.</summary>
    public static TargetThread Of(KernelTask task, int number) => new(number, task.Name, Describe(task), task.Cpu);

    /// <summary>Pid and state, as <c>info threads</c> shows them behind the name.</summary>
    public static string Describe(KernelTask task)
    {
        string process = task.ProcessId == task.Pid ? "" : string.Create(CultureInfo.InvariantCulture, $" of {task.ProcessId}");
        return string.Create(CultureInfo.InvariantCulture, $"pid {task.Pid}{process}, {State(task)}");
    }

    /// <summary>As ps shows it, and in a word; or where it runs.</summary>
    public static string State(KernelTask task) => task.Vcpu is int vcpu
        ? string.Create(CultureInfo.InvariantCulture, $"on vCPU {vcpu}")
        : task.State switch
        {
            'R' => "R ready",
            'S' => "S sleeping",
            'D' => "D blocked",
            'T' => "T stopped",
            't' => "t traced",
            'X' => "X dead",
            'Z' => "Z zombie",
            'P' => "P parked",
            'I' => "I idle",
            _ => "state unknown",
        };
}
