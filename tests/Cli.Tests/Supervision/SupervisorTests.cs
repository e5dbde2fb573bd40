using Cli.Supervision;
using GdbStub.Targets;

namespace Cli.Tests.Supervision;

public sealed class SupervisorTests
{
    // The script of the machine; the policy; --max-reboots; what happens; the exit code.
    [Theory]
    [InlineData("PowerOff PowerOff", "freeze", -1, "run", 0)]
    [InlineData("Halted Halted", "freeze", -1, "run", 0)]
    [InlineData("Reset PlainReset", "freeze", -1, "run,restart,run", 0)]
    [InlineData("Reset PlainReset", "freeze", 0, "run", 0)]
    [InlineData("Reset PlainReset;Reset PlainReset;Reset PlainReset", "freeze", 2, "run,restart,run,restart,run", 0)]
    [InlineData("Reset KernelPanic", "exit", -1, "run,capture", 3)]
    [InlineData("Reset TripleFault", "exit", -1, "run,capture", 3)]
    [InlineData("ReportWithoutReset PanicWithoutReset", "exit", -1, "run,capture", 3)]
    [InlineData("ReportWithoutReset None;PowerOff PowerOff", "exit", -1, "run,run", 0)]
    [InlineData("Reset KernelPanic;PowerOff PowerOff", "reboot", -1, "run,capture,restart,run", 3)]
    [InlineData("Reset KernelPanic;Reset KernelPanic", "reboot", 1, "run,capture,restart,run,capture", 3)]
    [InlineData("Reset KernelPanic;Reset PlainReset;Reset PlainReset", "reboot", 2, "run,capture,restart,run,restart,run", 3)]
    [InlineData("Reset KernelPanic", "reboot", 0, "run,capture", 3)]
    [InlineData("PowerOff KernelPanic", "reboot", -1, "run,capture", 3)]
    public void A_run_takes_its_course(string script, string onPanic, int limit, string happened, int exitCode)
    {
        var run = new Run(onPanic, limit, script.Split(';'));
        Assert.Equal(exitCode, run.Supervisor.Run());
        Assert.Equal(happened, run.Machine.Log);
        Assert.Equal(run.Machine.Captures.Count, run.Archiver.Written.Count);
        Assert.All(run.Machine.Captures, capture => Assert.True(capture.Disposed));
        Assert.Equal(exitCode, Assert.IsType<EndedEvent>(run.Events.All[^1]).ExitCode);
    }

    [Fact]
    public void The_exit_port_names_the_exit_code()
    {
        var run = new Run("freeze", -1, new FakeMachine("ExitPort ExitPort") { ExitPortCode = 85 }, new FakeArchiver());
        Assert.Equal(85, run.Supervisor.Run());
    }

    [Fact]
    public async Task A_frozen_machine_is_archived_and_stays_until_its_owner_ends_the_run()
    {
        var run = new Run("freeze", -1, "Reset KernelPanic");
        Task<int> code = run.Start();
        run.Events.WaitFor<ArchivedEvent>();
        run.Events.WaitFor<StayingEvent>();
        using (var debugger = new FakeDebugger(run.Supervisor.Runner))
        {
            Assert.Contains("monitor reset", debugger.Continue()!.Text);
        }

        Assert.Equal("run,capture", run.Machine.Log);
        Assert.False(code.IsCompleted);
        run.Supervisor.RequestEnd(EndRequest.Signal("SIGTERM", 15));
        Assert.Equal(3, await code);
    }

    [Fact]
    public async Task A_signal_during_the_writing_waits_for_the_archive()
    {
        var barrier = new ManualResetEventSlim();
        var run = new Run("freeze", -1, new FakeMachine("Reset KernelPanic"), new FakeArchiver { Barrier = barrier });
        Task<int> code = run.Start();
        run.Events.WaitFor<StayingEvent>();
        run.Supervisor.RequestEnd(EndRequest.Signal("SIGTERM", 15));
        Assert.Empty(run.Archiver.Written);
        barrier.Set();
        Assert.Equal(3, await code);
        Assert.Equal(["crash 1"], run.Archiver.Written);
    }

    [Fact]
    public async Task A_second_signal_does_not_wait()
    {
        var barrier = new ManualResetEventSlim();
        var run = new Run("freeze", -1, new FakeMachine("Reset KernelPanic"), new FakeArchiver { Barrier = barrier });
        Task<int> code = run.Start();
        run.Events.WaitFor<StayingEvent>();
        run.Supervisor.RequestEnd(EndRequest.Signal("SIGINT", 2));
        run.Supervisor.RequestEnd(EndRequest.Signal("SIGINT", 2));
        Assert.Equal(1, await code);
        barrier.Set();
    }

    [Theory]
    [InlineData(15, 143)]
    [InlineData(2, 130)]
    public async Task A_signal_ends_a_guest_that_never_crashed_with_the_signals_code(int signal, int exitCode)
    {
        var run = new Run("freeze", -1, "run");
        Task<int> code = run.Start();
        run.Machine.WaitUntilUnderWay();
        run.Supervisor.RequestEnd(EndRequest.Signal("a signal", signal));
        Assert.Equal(exitCode, await code);
    }

    [Fact]
    public async Task The_console_ends_a_run_with_success()
    {
        var run = new Run("freeze", -1, "run");
        Task<int> code = run.Start();
        run.Machine.WaitUntilUnderWay();
        run.Supervisor.RequestEnd(EndRequest.Console);
        Assert.Equal(0, await code);
    }

    [Theory]
    [InlineData("exit", "Reset KernelPanic")]
    [InlineData("reboot", "Reset KernelPanic;PowerOff PowerOff")]
    public async Task A_crash_that_cannot_be_written_keeps_the_run_alive_and_ends_it_with_an_error(string onPanic, string script)
    {
        var run = new Run(onPanic, -1, new FakeMachine(script.Split(';')), new FakeArchiver(failures: int.MaxValue));
        Task<int> code = run.Start();
        Assert.Contains("No space left on device", run.Events.WaitFor<ArchiveFailedEvent>().Message);
        while (!run.Supervisor.Runner.IsFrozen)
        {
            await Task.Yield();
        }

        using (var debugger = new FakeDebugger(run.Supervisor.Runner))
        {
            Assert.NotNull(debugger.Continue());
        }

        Assert.False(code.IsCompleted);
        run.Supervisor.RequestEnd(EndRequest.Signal("SIGTERM", 15));
        Assert.Equal(1, await code);
        Assert.Equal(2, run.Archiver.Attempts);
    }

    [Fact]
    public async Task A_crash_that_could_not_be_written_is_written_when_the_run_ends_if_it_can_be_then()
    {
        var run = new Run("freeze", -1, new FakeMachine("Reset KernelPanic"), new FakeArchiver(failures: 1));
        Task<int> code = run.Start();
        run.Events.WaitFor<ArchiveFailedEvent>();
        run.Supervisor.RequestEnd(EndRequest.Console);
        Assert.Equal(3, await code);
        Assert.Equal(["crash 1"], run.Archiver.Written);
    }

    [Fact]
    public async Task A_guest_that_crashes_again_and_again_waits_for_the_writer()
    {
        var barrier = new ManualResetEventSlim();
        var machine = new FakeMachine("Reset KernelPanic", "Reset KernelPanic", "Reset KernelPanic", "Reset KernelPanic", "PowerOff PowerOff");
        var run = new Run("reboot", -1, machine, new FakeArchiver { Barrier = barrier });
        Task<int> code = run.Start();
        while (machine.Captures.Count <= ArchiveQueue.MaximumWaiting)
        {
            await Task.Yield();
        }

        Assert.Equal(ArchiveQueue.MaximumWaiting + 1, machine.Captures.Count);
        barrier.Set();
        Assert.Equal(3, await code);
        Assert.Equal(["crash 1", "crash 2", "crash 3", "crash 4"], run.Archiver.Written);
    }

    [Fact]
    public async Task A_trap_is_told_to_the_debugger_before_the_guest_starts_again()
    {
        var run = new Run("reboot", -1, "Reset KernelPanic");
        using var debugger = new FakeDebugger(run.Supervisor.Runner);
        Task<int> code = run.Start();
        Assert.Null(debugger.Continue());
        Assert.Equal(StopReason.Signal, debugger.WaitForStop().Reason);
        Assert.Equal("run,capture", run.Machine.Log);
        Assert.Null(debugger.Continue());
        Assert.Equal(StopReason.Exited, debugger.WaitForStop().Reason);
        Assert.Equal("run,capture,restart,run", run.Machine.Log);
        Assert.Equal(3, await code);
    }

    [Fact]
    public async Task A_run_that_is_to_end_waits_for_the_debugger_to_leave()
    {
        var run = new Run("exit", -1, "Reset KernelPanic");
        var debugger = new FakeDebugger(run.Supervisor.Runner);
        Task<int> code = run.Start();
        Assert.Null(debugger.Continue());
        Assert.Equal(StopReason.Signal, debugger.WaitForStop().Reason);
        run.Events.WaitFor<ArchivedEvent>();
        Assert.Contains("detach", debugger.Continue()!.Text);
        Assert.False(code.IsCompleted);
        debugger.Dispose();
        Assert.Equal(3, await code);
    }

    [Fact]
    public async Task A_plain_reboot_is_no_stop_for_a_debugger()
    {
        var run = new Run("freeze", -1, "Reset PlainReset");
        using var debugger = new FakeDebugger(run.Supervisor.Runner);
        Task<int> code = run.Start();
        Assert.Null(debugger.Continue());
        Assert.Equal(StopReason.Exited, debugger.WaitForStop().Reason);
        Assert.Equal("run,restart,run", run.Machine.Log);
        Assert.Equal(0, await code);
    }

    [Fact]
    public async Task A_debugger_can_have_a_frozen_guest_started_again()
    {
        var run = new Run("freeze", -1, "Reset KernelPanic");
        using var debugger = new FakeDebugger(run.Supervisor.Runner);
        Task<int> code = run.Start();
        Assert.Null(debugger.Continue());
        debugger.WaitForStop();
        debugger.Monitor("reset");
        Assert.Equal("run,capture,restart", run.Machine.Log);
        Assert.Null(debugger.Continue());
        debugger.WaitForStop();
        Assert.Equal(3, await code);
    }

    [Fact]
    public async Task A_guest_that_crashes_at_every_start_waits_longer_each_time_and_stops_at_the_limit()
    {
        var clock = new ManualClock();
        var run = new Run("reboot", 3, new FakeMachine(Enumerable.Repeat("Reset KernelPanic", 9).ToArray()), new FakeArchiver(), clock, 60);
        Task<int> code = run.Start();
        foreach (int seconds in (int[])[1, 2])
        {
            Assert.Equal(TimeSpan.FromSeconds(seconds), await clock.NextTimerAsync());
            Assert.True(run.Supervisor.Runner.IsFrozen);
            clock.Advance(TimeSpan.FromSeconds(seconds));
        }

        Assert.Equal(3, await code);
        Assert.Equal("run,capture,restart,run,capture,restart,run,capture,restart,run,capture", run.Machine.Log);
        Assert.Contains("--max-reboots", run.Events.All.OfType<StayingEvent>().Single().Hint);
        Assert.Equal([1.0, 2.0], run.Events.All.OfType<BackoffEvent>().Select(wait => wait.Seconds));
    }

    [Fact]
    public async Task A_wait_ends_at_once_when_somebody_says_so()
    {
        var clock = new ManualClock();
        var run = new Run("reboot", -1, new FakeMachine("Reset KernelPanic", "Reset KernelPanic", "run"), new FakeArchiver(), clock, 60);
        Task<int> code = run.Start();
        await clock.NextTimerAsync();
        run.Supervisor.Runner.Restart();
        run.Machine.WaitUntilUnderWay();
        clock.Advance(TimeSpan.FromHours(1));
        run.Supervisor.RequestEnd(EndRequest.Console);
        Assert.Equal(3, await code);
        Assert.Equal("run,capture,restart,run,capture,restart,run", run.Machine.Log);
    }

    [Fact]
    public async Task A_debugger_that_looks_at_the_crash_holds_the_restart_up()
    {
        var clock = new ManualClock();
        var run = new Run("reboot", -1, new FakeMachine("Reset KernelPanic", "Reset KernelPanic", "run"), new FakeArchiver(), clock, 60);
        Task<int> code = run.Start();
        await clock.NextTimerAsync();
        using (var debugger = new FakeDebugger(run.Supervisor.Runner))
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            Assert.Contains("monitor reset", debugger.Continue()!.Text);
            Assert.Equal("run,capture,restart,run,capture", run.Machine.Log);
        }

        run.Machine.WaitUntilUnderWay();
        run.Supervisor.RequestEnd(EndRequest.Console);
        Assert.Equal(3, await code);
    }

    [Theory]
    [InlineData("0 0 0 0 0 0 0 0 0", 60, "0 1 2 4 8 16 32 60 60")]
    [InlineData("0 0 0 90 0 0", 60, "0 1 2 0 0 1")]
    [InlineData("59 59 60 59", 60, "0 1 0 0")]
    [InlineData("0 0 0 0", 0, "0 0 0 0")]
    [InlineData("0 0 0 0", 3, "0 1 2 3")]
    public void The_wait_doubles_while_the_guest_lives_shortly(string lived, int longest, string expected)
    {
        var backoff = new RestartBackoff(TimeSpan.FromSeconds(longest));
        Assert.Equal(expected, string.Join(' ', lived.Split(' ').Select(seconds => backoff.Next(TimeSpan.FromSeconds(int.Parse(seconds, null))).TotalSeconds)));
    }

    /// <summary>A run over fakes.</summary>
    private sealed class Run
    {
        public Run(string onPanic, int limit, params string[] script)
            : this(onPanic, limit, new FakeMachine(script), new FakeArchiver())
        {
        }

        public Run(string onPanic, int limit, FakeMachine machine, FakeArchiver archiver, TimeProvider? clock = null, int longestBackoff = 0)
        {
            Machine = machine;
            Archiver = archiver;
            var policy = new TrapPolicy(Enum.Parse<PanicAction>(onPanic, ignoreCase: true), limit < 0 ? null : (ulong)limit);
            Supervisor = new Supervisor(
                machine, policy, new ArchiveQueue(archiver, Events, Timeout.InfiniteTimeSpan), Events, waitForDebugger: false,
                new RestartBackoff(TimeSpan.FromSeconds(longestBackoff)), clock);
        }

        public FakeMachine Machine { get; }

        public FakeArchiver Archiver { get; }

        public FakeEvents Events { get; } = new();

        public Supervisor Supervisor { get; }

        public Task<int> Start() => Task.Factory.StartNew(Supervisor.Run, TaskCreationOptions.LongRunning);
    }
}
