using Emulator;
using Emulator.Memory;

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
    internal MonitorContext(IMachineConnection connection, DebugOptions options, int vcpu)
    {
        Connection = connection;
        Options = options;
        Vcpu = vcpu;
    }

    /// <summary>How the machine is presented.</summary>
    public DebugOptions Options { get; }

    /// <summary>Number of the vCPU the debugger has selected, from 0.</summary>
    public int Vcpu { get; }

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

    /// <summary>The registers of the selected vCPU that decide about translation.</summary>
    internal PagingRegisters Paging(IMachineView view)
    {
        view.Glance(Vcpu, out VcpuGlance registers);
        return X86.VirtualMemory.RegistersOf(registers);
    }
}
