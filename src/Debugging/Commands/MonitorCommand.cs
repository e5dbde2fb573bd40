using Debugging.Kernels;
using Emulator;
using Emulator.Memory;
using GuestOs.Linux.Symbols;

namespace Debugging.Commands;

/// <summary>A command of <c>monitor</c>.</summary>
/// <param name="Name">One word.</param>
/// <param name="Arguments">Their names, as help shows them; empty for none.</param>
/// <param name="Help">One line.</param>
/// <param name="Execute">Runs it on the text behind the name and returns its output; a failure is output too.</param>
public sealed record MonitorCommand(string Name, string Arguments, string Help, Func<MonitorContext, string, string> Execute);

/// <summary>What a monitor command works on.</summary>
public sealed class MonitorContext
{
    private readonly MachineThreads threads;
    private readonly KernelLook? kernel;
    private readonly int thread;

    internal MonitorContext(IMachineConnection connection, DebugOptions options, MachineThreads threads, KernelLook? kernel, int thread)
    {
        Connection = connection;
        Options = options;
        this.threads = threads;
        this.kernel = kernel;
        this.thread = thread;
    }

    /// <summary>How the machine is presented.</summary>
    public DebugOptions Options { get; }

    /// <summary>Number of the vCPU the debugger has selected, from 0; with a task that waits, the one to look at first.</summary>
    public int Vcpu => Inspect(view => threads.VcpuOf(view, thread) ?? view.CurrentVcpu);

    /// <summary>Why the machine stands still, or last did.</summary>
    public MachineExit? Cause => Connection.Access.Cause;

    /// <summary>What this debugger may do.</summary>
    internal IMachineConnection Connection { get; }

    /// <summary>Looks at the machine while it stands still; keep it short, a running machine waits.</summary>
    public T Inspect<T>(Func<IMachineView, T> look)
    {
        ArgumentNullException.ThrowIfNull(look);
        IMachineAccess access = Connection.Access;
        IMachineView view = access.Enter();
        try
        {
            return look(view);
        }
        finally
        {
            access.Leave();
        }
    }

    /// <summary>What decides about the addresses of the selected vCPU or task.</summary>
    internal PagingRegisters Paging(IMachineView view) => threads.PagingOf(view, thread);

    /// <summary>The guest's kernel; null when there is none, or none is to be shown.</summary>
    internal KernelImage? Kernel(IMachineView view) => kernel?.Of(Connection.Access, view, search: true);

    /// <summary>The selected task, or what the selected vCPU executes; null when that is not known.</summary>
    internal KernelTask? Task(IMachineView view) =>
        threads.TaskOf(view, thread) ?? (threads.VcpuOf(view, thread) is int vcpu ? Kernel(view)?.TaskOn(vcpu) : null);
}
