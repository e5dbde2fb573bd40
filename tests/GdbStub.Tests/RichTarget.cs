using System.Diagnostics.CodeAnalysis;
using GdbStub.Agents;
using GdbStub.Targets;

namespace GdbStub.Tests;

/// <summary>The toy with everything a target may offer, and an endpoint of three processes of that kind; process 3 cannot be had.</summary>
internal sealed class RichTarget : FakeTarget, IDebugTarget, ITargetProvider, IProcesses, IProgrammableBreakpoints, IMemoryRegions, IMemoryMap,
    IDirectMemory, IPhysicalMemory, IVirtualFiles, ITransferObjects, ISystemTables, IRelocation, ISymbolRequests, IReverseControl,
    ISteppingPolicy, IKill, IRunControl
{
    public static readonly byte[] Program = [.. Enumerable.Range(0, 300).Select(i => (byte)i)];

    private readonly RichTarget? owner;

    public RichTarget()
    {
    }

    private RichTarget(RichTarget owner, int process)
    {
        this.owner = owner;
        ProcessId = process;
    }

    /// <summary>The processes opened, by number.</summary>
    public Dictionary<int, RichTarget> Open { get; } = [];

    public int ProcessId { get; } = 1;

    public bool StartsEmpty { get; init; }

    /// <summary>Bytes seen at a time; small, so that searches meet many seams.</summary>
    public int PeekSize { get; set; } = 7;

    public bool ReadableWhileRunning => false;

    public List<BreakpointProgram> Programs { get; } = [];

    public bool StepsRanges { get; set; }

    public override IBreakpoints? Breakpoints => this;

    IKill? IDebugTarget.Kill => this;

    public IReverseControl? Reverse => this;

    public ISteppingPolicy? Stepping => this;

    public IDirectMemory? DirectMemory => this;

    public IPhysicalMemory? PhysicalMemory => this;

    public IMemoryRegions? Regions => this;

    public IMemoryMap? MemoryMap => this;

    public IVirtualFiles? Files => this;

    public ITransferObjects? Objects => this;

    public ISystemTables? Tables => this;

    public IRelocation? Relocation => this;

    public ISymbolRequests? Symbols => this;

    public IProcesses? Processes => owner is null ? this : null;

    public IReadOnlyList<TargetProcess> List =>
    [
        new(1, "live machine", "", [("state", "stopped")]),
        new(2, "archive <a>", "root", [("state", "sysrq")]),
        new(3, "broken archive", "root", [("state", "?")]),
    ];

    public IReadOnlyList<MemoryMapEntry> Entries => [new(MemoryKind.Ram, 0, 0x10000), new(MemoryKind.Rom, 0x10000, 0x10000)];

    public int PageSize => 4096;

    public string Name { get; set; } = "/toy/program";

    public string? Executable => Name;

    public IReadOnlyList<string> Names => ["vmcoreinfo"];

    IReadOnlyList<SystemTableName> ISystemTables.Names => [new("tasks", "Tasks", "Tasks of the toy")];

    public ulong? TextSegment => 0x4000;

    public IReadOnlyList<string> Wanted => ["start", "end"];

    public StepMask Supported => StepMask.Enable | StepMask.NoInterrupts;

    public StepMask Current { get; set; } = StepMask.Enable;

    public override bool TryOpen(ITargetEvents events, [NotNullWhen(true)] out IDebugTarget? target, [NotNullWhen(false)] out string? refusal)
    {
        Opened++;
        Events = events;
        Open[1] = this;
        target = StartsEmpty ? null : this;
        refusal = StartsEmpty ? "nothing runs" : null;
        return !StartsEmpty;
    }

    public bool TryAttach(int process, ITargetEvents events, [NotNullWhen(true)] out IDebugTarget? target, [NotNullWhen(false)] out TargetError? error)
    {
        target = null;
        error = null;
        if (process == 3)
        {
            error = new TargetError(TargetError.Failed, "archive 3 is damaged");
            return false;
        }

        if (process is < 1 or > 3)
        {
            error = new TargetError(TargetError.NoSuchThread, $"there is no process {process}");
            return false;
        }

        var opened = new RichTarget(this, process) { Events = events, Opened = 1 };
        Open[process] = opened;
        target = opened;
        return true;
    }

    public TargetError? Insert(TargetBreakpoint breakpoint, BreakpointProgram program)
    {
        Calls.Add($"insert {breakpoint.Kind} {breakpoint.Address:x} with {program.Conditions.Count} and {program.Commands.Count}");
        Programs.Add(program);
        return null;
    }

    public void PassSignals(ReadOnlySpan<byte> signals) => Calls.Add("pass " + Convert.ToHexString(signals));

    public MemoryRegion Find(int thread, ulong address) => address < MemoryStart
        ? new(0, MemoryStart - 1, MemoryAccess.None)
        : address < MemoryStart + 0x10000
            ? new(MemoryStart, MemoryStart + 0xFFFF, MemoryAccess.Read | MemoryAccess.Write, "toy")
            : new(MemoryStart + 0x10000, ulong.MaxValue, MemoryAccess.None);

    public int DirtyPages(int thread, ulong start, ulong last, Span<ulong> pages)
    {
        pages[0] = 0x3000;
        pages[1] = 0x5000;
        return 2;
    }

    public ReadOnlySpan<byte> Peek(int thread, ulong address, int wanted) =>
        address - MemoryStart < (ulong)Memory.Length
            ? Memory.AsSpan((int)(address - MemoryStart), Math.Min(Math.Min(wanted, PeekSize), Memory.Length - (int)(address - MemoryStart)))
            : [];

    public int Read(ulong address, Span<byte> destination)
    {
        destination.Fill(0xEE);
        return address < 0x100 ? destination.Length : 0;
    }

    public int Write(ulong address, ReadOnlySpan<byte> source)
    {
        Calls.Add($"physical {address:x} {Convert.ToHexString(source)}");
        return source.Length;
    }

    public bool TryOpen(string path, [NotNullWhen(true)] out IVirtualFile? file)
    {
        file = path == Executable ? new ByteFile() : null;
        return file is not null;
    }

    public string? ReadLink(string path) => path == "/toy/link" ? Executable : null;

    public ReadOnlyMemory<byte>? Read(string name, string annex)
    {
        if (annex.Length > 0)
        {
            return null;
        }

        return "OSRELEASE=toy\n"u8.ToArray();
    }

    public SystemTable? Read(string name) => name == "tasks" ? new SystemTable(["pid", "name"], [["1", "init\u0001"]]) : null;

    public void Found(string name, ulong? address) => Calls.Add($"symbol {name} {address:x}");

    TargetError? IReverseControl.Continue() => Back("back");

    TargetError? IReverseControl.Step(int thread) => Back($"step back {thread}");

    TargetError? IKill.Kill()
    {
        Calls.Add("kill");
        return null;
    }

    public string? DescribeThread(int thread) => thread == 2 ? "idle" : null;

    private TargetError? Back(string call)
    {
        Calls.Add(call);
        Running = true;
        return null;
    }

    private sealed class ByteFile : IVirtualFile
    {
        public ulong Length => (ulong)Program.Length;

        public int Read(ulong offset, Span<byte> destination)
        {
            if (offset >= (ulong)Program.Length)
            {
                return 0;
            }

            ReadOnlySpan<byte> rest = Program.AsSpan((int)offset);
            int count = Math.Min(rest.Length, destination.Length);
            rest[..count].CopyTo(destination);
            return count;
        }

        public void Dispose()
        {
        }
    }
}
