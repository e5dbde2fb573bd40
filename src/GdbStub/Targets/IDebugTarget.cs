namespace GdbStub.Targets;

/// <summary>
/// What one connection debugs. The required members are what any image can give; what only some can do is a property
/// that is null where it is absent, and the protocol then answers for it. A capability may appear or go while the target is
/// open (an image that a command makes runnable): it is asked for at every use. All members are called by one session, one at
/// a time, and only while the target stands still (its run control says when), <see cref="IRunControl.RequestStop"/> and
/// <see cref="IDisposable.Dispose"/> excepted. Disposing tells that the debugger is gone, whether it detached, asked to
/// kill, or vanished: its breakpoints go, and a target that can run runs on.
/// </summary>
public interface IDebugTarget : IDisposable
{
    /// <summary>Architecture and registers; the same object for the life of the target.</summary>
    TargetDescription Description { get; }

    /// <summary>The threads now; at least one.</summary>
    IReadOnlyList<TargetThread> Threads { get; }

    /// <summary>
    /// Those of <see cref="Threads"/>, in the same order, that take orders to run. The others (tasks that wait for a processor)
    /// are looked at; asking for all of them may cost more, so the session does it only where a client wants to see them.
    /// </summary>
    IReadOnlyList<TargetThread> RunnableThreads => Threads;

    /// <summary>Why it stands still now.</summary>
    StopReport CurrentStop { get; }

    /// <summary>
    /// Reads one register of a thread into <paramref name="value"/> (exactly its size, target byte order); false when its
    /// value is not known.
    /// </summary>
    bool TryReadRegister(int thread, int register, Span<byte> value);

    /// <summary>
    /// Reads memory as <paramref name="thread"/> sees it; returns how many bytes could be read before the first that is
    /// not there.
    /// </summary>
    int ReadMemory(int thread, ulong address, Span<byte> destination);

    /// <summary>Changing memory and registers.</summary>
    ITargetWriter? Writer { get; }

    /// <summary>Running on.</summary>
    IRunControl? RunControl { get; }

    /// <summary>Stopping at an instruction or at an access to memory.</summary>
    IBreakpoints? Breakpoints { get; }

    /// <summary>Commands beyond the protocol.</summary>
    IMonitor? Monitor { get; }

    /// <summary>Its number among the processes of its endpoint.</summary>
    int ProcessId => 1;

    /// <summary>Ends it for good when a debugger asks to (k, vKill). Null: asking only lets it go, as detaching does.</summary>
    IKill? Kill => null;

    /// <summary>Running backwards.</summary>
    IReverseControl? Reverse => null;

    /// <summary>What a single step does about interrupts.</summary>
    ISteppingPolicy? Stepping => null;

    /// <summary>Memory without copying.</summary>
    IDirectMemory? DirectMemory => null;

    /// <summary>Physical memory.</summary>
    IPhysicalMemory? PhysicalMemory => null;

    /// <summary>What is mapped where.</summary>
    IMemoryRegions? Regions => null;

    /// <summary>gdb's memory map.</summary>
    IMemoryMap? MemoryMap => null;

    /// <summary>Files of the target's own.</summary>
    IVirtualFiles? Files => null;

    /// <summary>Objects read by name.</summary>
    ITransferObjects? Objects => null;

    /// <summary>Tables of its operating system.</summary>
    ISystemTables? Tables => null;

    /// <summary>Where its program lies.</summary>
    IRelocation? Relocation => null;

    /// <summary>Symbols it wants to know.</summary>
    ISymbolRequests? Symbols => null;

    /// <summary>More about a thread than its state, for a person, in one line; null when there is none.</summary>
    string? DescribeThread(int thread) => null;

    /// <summary>
    /// True when registers and memory may be read while it runs, as it then is between two instructions: in non-stop mode they then are.
    /// </summary>
    bool ReadableWhileRunning => false;

    /// <summary>Why <see cref="Writer"/> or <see cref="RunControl"/> is absent, and what to do instead; the debugger's user reads it.</summary>
    TargetError Unsupported(TargetAbility ability);
}

/// <summary>An ability a target may lack.</summary>
public enum TargetAbility
{
    /// <summary>Continue and step.</summary>
    Run,

    /// <summary>Write memory or registers.</summary>
    Write,
}

/// <summary>Changes a target that stands still.</summary>
public interface ITargetWriter
{
    /// <summary>Writes memory as <paramref name="thread"/> sees it; returns how many bytes were written before the first that is not there.</summary>
    int WriteMemory(int thread, ulong address, ReadOnlySpan<byte> source);

    /// <summary>Writes registers of one thread, all or none.</summary>
    TargetError? WriteRegisters(int thread, IReadOnlyList<RegisterValue> values);
}

/// <summary>A new value of a register: exactly its size, target byte order.</summary>
public readonly record struct RegisterValue(int Register, ReadOnlyMemory<byte> Value);

/// <summary>Ends a target.</summary>
public interface IKill
{
    /// <summary>Ends it; it is disposed next. Null when it is gone.</summary>
    TargetError? Kill();
}

/// <summary>Commands a person types: gdb's <c>monitor</c>, lldb's <c>process plugin packet monitor</c>.</summary>
public interface IMonitor
{
    /// <summary>Runs a command and returns its output. A command that fails says so in its output.</summary>
    string Execute(int thread, string command);
}
