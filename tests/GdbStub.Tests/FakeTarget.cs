using System.Diagnostics.CodeAnalysis;
using GdbStub.Targets;

namespace GdbStub.Tests;

/// <summary>
/// A big-endian toy with two threads, four registers and 64 KiB of memory at 1000h: nothing of it is x86, so whatever
/// the server gets right, it got from the description.
/// </summary>
internal class FakeTarget : IDebugTarget, ITargetWriter, IRunControl, IBreakpoints, IMonitor, ITargetProvider
{
    public const ulong MemoryStart = 0x1000;

    public static readonly TargetDescription Toy = new(
        "toy", "toy-none-none", 4, bigEndian: true,
        [
            new RegisterFeature("org.example.toy.core",
                [new FlagsType("toy_flags", 4, [("Z", 0, 0), ("MODE", 4, 7)])],
                [
                    new RegisterInfo("pc", 32, "code_ptr", Generic: "pc"),
                    new RegisterInfo("sp", 32, "data_ptr"),
                    new RegisterInfo("flags", 32, "toy_flags"),
                ]),
            new RegisterFeature("org.example.toy.extra", [], [new RegisterInfo("unknown", 16, "int", "system")]),
        ],
        "pc", ["pc"]);

    public Dictionary<(int Thread, int Register), byte[]> Values { get; } = new()
    {
        [(1, 0)] = [0, 0, 0x10, 0x20],
        [(1, 1)] = [0, 0, 0x20, 0],
        [(1, 2)] = [0, 0, 0, 0x31],
        [(2, 0)] = [0, 0, 0x33, 0x33],
        [(2, 1)] = [0, 0, 0x44, 0x44],
        [(2, 2)] = [0, 0, 0, 0],
    };

    public byte[] Memory { get; } = new byte[0x10000];

    public List<string> Calls { get; } = [];

    public bool CanRun { get; init; } = true;

    public bool CanWrite { get; init; } = true;

    public string? Refusal { get; init; }

    public virtual TargetError? ResumeError { get; set; }

    public Exception? Failure { get; set; }

    public StopReport CurrentStop { get; set; } = new(1, StopReason.Signal, 5);

    public bool Running { get; protected set; }

    public int Disposals { get; private set; }

    public int Opened { get; protected set; }

    public ITargetEvents? Events { get; set; }

    public TargetDescription Description => Toy;

    public IReadOnlyList<TargetThread> Threads => [.. RunnableThreads, .. Waiting];

    public IReadOnlyList<TargetThread> RunnableThreads { get; } = [new(1, "cpu <0>", "running", 0), new(2, "cpu 1", "", 1)];

    /// <summary>Threads that take no orders.</summary>
    public IReadOnlyList<TargetThread> Waiting { get; init; } = [];

    public ITargetWriter? Writer => CanWrite ? this : null;

    public IRunControl? RunControl => CanRun ? this : null;

    public virtual IBreakpoints? Breakpoints => CanRun ? this : null;

    public IMonitor? Monitor => this;

    public virtual bool TryOpen(ITargetEvents events, [NotNullWhen(true)] out IDebugTarget? target, [NotNullWhen(false)] out string? refusal)
    {
        Opened++;
        Events = events;
        target = Refusal is null ? this : null;
        refusal = Refusal;
        return Refusal is null;
    }

    public bool TryReadRegister(int thread, int register, Span<byte> value)
    {
        if (!Values.TryGetValue((thread, register), out byte[]? found))
        {
            return false;
        }

        found.CopyTo(value);
        return true;
    }

    public int ReadMemory(int thread, ulong address, Span<byte> destination)
    {
        if (Failure is not null)
        {
            throw Failure;
        }

        if (Running)
        {
            throw new InvalidOperationException("memory was read while the target ran");
        }

        if (address - MemoryStart >= (ulong)Memory.Length)
        {
            return 0;
        }

        int offset = (int)(address - MemoryStart);
        int count = Math.Min(destination.Length, Memory.Length - offset);
        Memory.AsSpan(offset, count).CopyTo(destination);
        return count;
    }

    public int WriteMemory(int thread, ulong address, ReadOnlySpan<byte> source)
    {
        if (address - MemoryStart >= (ulong)Memory.Length)
        {
            return 0;
        }

        int offset = (int)(address - MemoryStart);
        int count = Math.Min(source.Length, Memory.Length - offset);
        source[..count].CopyTo(Memory.AsSpan(offset));
        return count;
    }

    public TargetError? WriteRegisters(int thread, IReadOnlyList<RegisterValue> values)
    {
        foreach (RegisterValue value in values)
        {
            Values[(thread, value.Register)] = value.Value.ToArray();
        }

        return null;
    }

    public virtual TargetError? Resume(IReadOnlyList<ThreadAction> actions)
    {
        Calls.Add("resume " + string.Join(' ', actions.Select(action => $"{action.Thread}:{action.Kind}:{action.Signal}")));
        Running = ResumeError is null;
        return ResumeError;
    }

    public void RequestStop() => Calls.Add("stop");

    public void Report(StopReport report)
    {
        Running = false;
        CurrentStop = report;
        Events!.Stopped(report);
    }

    public TargetError? Insert(TargetBreakpoint breakpoint)
    {
        Calls.Add($"insert {breakpoint.Kind} {breakpoint.Address:x} {breakpoint.Length:x}");
        return null;
    }

    public TargetError? Remove(TargetBreakpoint breakpoint)
    {
        Calls.Add($"remove {breakpoint.Kind} {breakpoint.Address:x} {breakpoint.Length:x}");
        return null;
    }

    public string Execute(int thread, string command) => command == "long" ? new string('x', 20000) : $"{command} on {thread}\n";

    public TargetError Unsupported(TargetAbility ability) => new(TargetError.NotPermitted, $"the toy cannot {ability}");

    public virtual void Dispose()
    {
        Disposals++;
        Running = false;
    }
}
