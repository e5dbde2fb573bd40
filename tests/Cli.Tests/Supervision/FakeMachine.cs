using Cli.Supervision;
using Emulator;
using GuestOs;

namespace Cli.Tests.Supervision;

/// <summary>
/// A machine that follows a script: each run takes the next line of it. A line "run" runs until a pause is asked for;
/// any other names an exit and what it was, as in "Reset KernelPanic". After the last line it powers off.
/// </summary>
internal sealed class FakeMachine(params string[] script) : IMachineControl, IGuestMachine
{
    private readonly Queue<string> script = new(script);
    private readonly ManualResetEventSlim pause = new();
    private readonly ManualResetEventSlim underWay = new();
    private readonly List<string> log = [];
    private TrapKind was;

    /// <summary>What happened to it, in order, with commas.</summary>
    public string Log
    {
        get
        {
            lock (log)
            {
                return string.Join(',', log);
            }
        }
    }

    /// <summary>The captures made of it.</summary>
    public List<FakeCapture> Captures { get; } = [];

    /// <summary>The exit code an ExitPort line gives.</summary>
    public int ExitPortCode { get; init; }

    public IMachineControl Control => this;

    public IReadOnlyList<PhysicalRange> Ram => [];

    public IReadOnlyList<VcpuState> Vcpus => [];

    public int CurrentVcpu => 0;

    public ulong InstructionCount { get; private set; }

    public MachineExit? StopCause => null;

    /// <summary>Waits until a "run" line is being executed.</summary>
    public void WaitUntilUnderWay() => Assert.True(underWay.Wait(TimeSpan.FromSeconds(30)), "the machine was not run");

    public MachineExit Run(ulong instructions = ulong.MaxValue)
    {
        string line = script.Count > 0 ? script.Dequeue() : "PowerOff PowerOff";
        Note(instructions == ulong.MaxValue ? "run" : $"run {instructions}");
        InstructionCount++;
        if (line == "run")
        {
            underWay.Set();
            Assert.True(pause.Wait(TimeSpan.FromSeconds(30)), "nobody asked for a pause");
            pause.Reset();
            underWay.Reset();
            return new MachineExit(MachineExitKind.Paused, 0, InstructionCount);
        }

        string[] words = line.Split(' ');
        was = words.Length > 1 ? Enum.Parse<TrapKind>(words[1]) : TrapKind.None;
        return new MachineExit(
            Enum.Parse<MachineExitKind>(words[0]), 0, InstructionCount, words[0] == "Reset" ? ResetCause.KeyboardController : null, ExitPortCode);
    }

    public void RequestPause() => pause.Set();

    public TrapVerdict Judge(MachineExit exit) => Verdicts.Of(was);

    public ICapture Capture(MachineExit exit, TrapVerdict verdict)
    {
        Note("capture");
        var capture = new FakeCapture($"crash {Captures.Count + 1}");
        Captures.Add(capture);
        return capture;
    }

    public void Restart() => Note("restart");

    public void SetBreakpoints(IReadOnlyCollection<ulong> addresses)
    {
    }

    public void SetWatchpoints(IReadOnlyCollection<Watchpoint> watchpoints)
    {
    }

    public int ReadPhysical(ulong address, Span<byte> destination) => 0;

    public int WritePhysical(ulong address, ReadOnlySpan<byte> source) => 0;

    public bool IsUntouched(ulong address) => true;

    public void SetVcpu(int index, VcpuState state)
    {
    }

    private void Note(string what)
    {
        lock (log)
        {
            log.Add(what);
        }
    }
}
