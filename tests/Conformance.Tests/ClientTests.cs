using System.Text.RegularExpressions;
using Debugging.Kernels;
using Debugging.Tests;
using GdbStub.Sessions;

namespace Conformance.Tests;

/// <summary>Each client on Debian in each state a machine can be in, from the first look to a breakpoint, a watchpoint and a step where it runs.</summary>
public sealed class ClientTests(DebianRuns runs)
{
    private const string Tick = "sysvec_apic_timer_interrupt", Ticks = "jiffies_64";

    [Theory]
    [InlineData("gdb")]
    [InlineData("gdb-multiarch")]
    public async Task Gdb_works_on_a_live_machine(string gdb)
    {
        GdbProcess.Require(gdb);
        await using var debian = new RunningDebian(runs);
        string output = await GdbAsync(
            gdb, debian.Listener, "info os processes", "info registers rip cr0 efer gs_base", "x/s &linux_banner", $"break {Tick}", "continue", "backtrace 1", "delete",
            $"watch *(long *) &{Ticks}", "continue", "continue", "delete", "stepi", "monitor where", "info threads", "thread 2", "backtrace -2", "detach");
        Contains(output, "the live machine", "cr0 0x80050033 [ PE MP ET NE WP AM PG ]", "efer 0xd01 [ SCE LME LMA NXE ]", "Linux version 6.", $"Breakpoint 1, 0x{debian.AddressOf(Tick):x16} in {Tick}");
        Contains(output, $"Hardware watchpoint 2: *(long *) &{Ticks}", "stopped: a step", "\"kthreadd\" (pid 2, S sleeping)", "[Switching to thread 2", "detached]");

        // Time goes on, by many ticks at once after an idle while.
        MatchCollection changes = Regex.Matches(output, @"Old value = (\d+) New value = (\d+)");
        Assert.Equal(2, changes.Count);
        Assert.All(changes, change => Assert.True(long.Parse(change.Groups[1].Value, null) < long.Parse(change.Groups[2].Value, null), change.Value));
    }

    [Fact]
    public async Task Lldb_works_on_a_live_machine()
    {
        GdbProcess.Require("lldb");
        var log = new PacketLog();
        await using var debian = new RunningDebian(runs, logger: log);
        string output = await LldbAsync(
            debian.Listener, "register read rip cr0 efer gs_base", $"memory read --format s 0x{debian.AddressOf("linux_banner"):x}", $"breakpoint set --address 0x{debian.AddressOf(Tick):x}", "continue",
            "breakpoint delete 1", $"watchpoint set expression -w write -s 8 -- 0x{debian.AddressOf(Ticks):x}", "continue", "watchpoint delete 1", "thread step-inst", "process plugin packet monitor where",
            "detach");
        Contains(output, "cr0 = 0x0000000080050033", "efer = 0x0000000000000d01", "Linux version 6.", "stop reason = breakpoint 1.1", "stop reason = watchpoint 1", "stop reason = instruction step into");
        Contains(output, "stopped: a step", "detached");
        Assert.Empty(log.Errors);
    }

    [Theory]
    [InlineData("gdb")]
    [InlineData("gdb-multiarch")]
    public async Task Gdb_works_on_a_frozen_and_on_an_archived_machine(string gdb)
    {
        GdbProcess.Require(gdb);
        LiveDebian live = await runs.LiveAsync();
        using ArchivedDebian archived = await ArchivedDebian.MakeAsync(runs);
        await using GdbListener frozen = live.Serve(new KernelSymbols());
        await using GdbListener stored = archived.Serve(resume: false, new KernelSymbols());
        foreach ((GdbListener served, string refusal) in new[] { (frozen, "the machine is frozen at its panic"), (stored, "this is an archived machine, which does not run") })
        {
            string output = await GdbAsync(
                gdb, served, "info registers cr0", "backtrace 5", "x/s &linux_banner", "break panic", "continue", "stepi", "set $rax0 = $rax", "set $rax = 0x1234", "print/x $rax",
                "set $rax = $rax0", "monitor where", "detach");
            Contains(output, "[ PE MP ET NE WP AM PG ]", "in panic (", "in sysrq_handle_crash (", "Linux version 6.", "$1 = 0x1234", "stopped: a reset was asked for", "detached]");
            Assert.Equal(2, Regex.Count(output, Regex.Escape(refusal)));
        }

        archived.AssertUntouched();
    }

    [Fact]
    public async Task Lldb_works_on_a_frozen_and_on_an_archived_machine()
    {
        GdbProcess.Require("lldb");
        LiveDebian live = await runs.LiveAsync();
        using ArchivedDebian archived = await ArchivedDebian.MakeAsync(runs);
        var log = new PacketLog();
        await using GdbListener frozen = live.Serve(new KernelSymbols(), log);
        await using GdbListener stored = archived.Serve(resume: false, new KernelSymbols(), log);
        foreach ((GdbListener served, string refusal) in new[] { (frozen, "the machine is frozen at its panic"), (stored, "this is an archived machine, which does not run") })
        {
            string output = await LldbAsync(
                served, "register read pc cr0", "memory region $pc", "memory read --format x --size 1 --count 2 $pc", "thread list", "register read rax",
                "register write rax 0x1234", "register read rax", "register write rax 1", "process plugin packet monitor where", "continue");
            Contains(output, $"rip = 0x{archived.Rip:x16}", "cr0 = 0x0000000080050033", "stop reason = signal SIGABRT", "name = 'kthreadd'", "rax = 0x0000000000000001", "rax = 0x0000000000001234");
            Contains(output, "stopped: a reset was asked for");

            // Nothing runs, and the session goes on; lldb's batch ends with a signal.
            Contains(output, refusal);
            Assert.DoesNotContain("lost connection", output, StringComparison.Ordinal);
        }

        // A few for each of the threads that are shown, and none where nothing is.
        Assert.Empty(log.Errors);
        Assert.InRange(log.Reads.Count, 1, 400);
        Assert.Empty(log.FailedReads);
        archived.AssertUntouched();
    }

    [Fact]
    public async Task Lldb_has_symbols_and_stacks_from_the_file_that_is_made_for_it()
    {
        GdbProcess.Require("lldb");
        using ArchivedDebian archived = await ArchivedDebian.MakeAsync(runs);
        await using GdbListener served = archived.Serve(resume: true, new KernelSymbols());
        string symbols = archived.File("kernel.elf");
        using (Snapshots.ArchiveReader reader = Snapshots.ArchiveReader.Open(archived.Path))
        using (FileStream file = File.Create(symbols))
        {
            GuestOs.Linux.Symbols.KernelImage.Find(reader)!.CreateSymbolFile(types: true)!.WriteTo(file);
        }

        string output = Flat(await GdbProcess.StartAsync("lldb", ["--no-lldbinit", "--batch", .. new[]
        {
            $"target create {symbols}", $"gdb-remote {served.Endpoint.TargetRemote}", "thread backtrace --count 6", "image lookup --address $pc", "breakpoint set --name native_machine_emergency_restart",
            "thread step-inst", "register read pc", "detach",
        }.SelectMany(command => new[] { "-o", command })]));
        Contains(output, "`acpi_os_write_port(", "`acpi_reboot", "`native_machine_emergency_restart", "`panic(", "`sysrq_handle_crash(");
        Contains(output, "Summary: kernel.elf`acpi_os_write_port", "stop reason = instruction step into", "Breakpoint 1: where = kernel.elf`native_machine_emergency_restart", "detached");
    }

    [Fact]
    public async Task Lldb_runs_an_archive_on_though_it_names_the_waiting_tasks_when_it_passes_the_signal_on()
    {
        GdbProcess.Require("lldb");
        using ArchivedDebian archived = await ArchivedDebian.MakeAsync(runs);
        var log = new PacketLog();
        await using GdbListener served = archived.Serve(resume: true, new KernelSymbols(), log);
        string output = await LldbAsync(served, "thread list", "continue");
        Assert.Contains("resuming", output, StringComparison.Ordinal);
        Assert.DoesNotContain("cannot be told to run", output, StringComparison.Ordinal);
        Assert.DoesNotContain("lost connection", output, StringComparison.Ordinal);

        // An order for the idle task, by its number, 9000000; the log cuts long packets off.
        Assert.Contains(log.Packets, packet => packet.StartsWith("vCont;", StringComparison.Ordinal) && packet.Contains("c:895440", StringComparison.Ordinal));
        archived.AssertUntouched();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Gdb_MI_works_on_a_live_machine_as_VS_Code_drives_it(bool nonStop)
    {
        GdbProcess.Require();
        await using var debian = new RunningDebian(runs);
        await using var gdb = MiSession.Start();
        await gdb.SayAsync($"-gdb-set non-stop {(nonStop ? "on" : "off")}", "^done");
        await gdb.SayAsync("-gdb-set mi-async on", "^done");
        await gdb.SayAsync($"-target-select extended-remote {debian.Listener.Endpoint.TargetRemote}", "^connected");
        await gdb.SayAsync($"-break-insert {Tick}", "^done,bkpt=");
        await gdb.SayAsync("-exec-continue", "reason=\"breakpoint-hit\"");
        Assert.Contains($"func=\"{Tick}\"", await gdb.SayAsync("-stack-list-frames 0 0", "^done,stack="), StringComparison.Ordinal);
        Assert.Contains($"value=\"0x{debian.AddressOf(Tick):x}\"", await gdb.SayAsync("-data-list-register-values x 16", "^done,register-values="), StringComparison.Ordinal);
        await gdb.SayAsync("-break-delete 1", "^done");
        await gdb.SayAsync("-exec-continue", "*running");
        await gdb.SayAsync(nonStop ? "-exec-interrupt --all" : "-exec-interrupt", "*stopped");
        await gdb.SayAsync("-exec-step-instruction", "*stopped");
        await gdb.SayAsync("-interpreter-exec console \"monitor where\"", "^done");
        await gdb.SayAsync("-target-detach", "^done");
        await gdb.SayAsync("-gdb-exit", "^exit");
    }

    [Fact]
    public async Task Gdb_stops_in_a_hot_function_by_conditions_that_the_engine_decides()
    {
        GdbProcess.Require();
        var log = new PacketLog();
        await using var debian = new RunningDebian(runs, logger: log, waits: true);
        debian.Type("dd if=/dev/zero of=/dev/null bs=1 count=20000; dd if=/dev/zero of=/dev/null bs=7 count=1");
        string output = await GdbAsync("gdb", debian.Listener, "break ksys_read if $rdx == 7", "continue", "print $rdx", "info breakpoints", "detach");
        Contains(output, "Breakpoint 1, ", "in ksys_read", "$1 = 7", "detached]");

        // The debugger was woken once; it is told of each hit only where it decides itself.
        Assert.Single(log.Packets, packet => packet.StartsWith("vCont;c", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_hung_guest_is_made_to_panic()
    {
        GdbProcess.Require();
        await using var debian = new RunningDebian(runs);
        debian.Type("while :; do :; done");
        string output = await GdbAsync("gdb", debian.Listener, "monitor nmi panic", "continue", "backtrace", "monitor journal 400", "detach");
        Contains(output, "the kernel was told to panic at it", "SIGABRT", "in panic (", "in nmi_panic", "in exc_nmi (", ": NMI, at ");
    }

    private static async Task<string> GdbAsync(string gdb, GdbListener listener, params string[] commands)
    {
        IEnumerable<string> all = ["set pagination off", "set confirm off", $"target extended-remote {listener.Endpoint.TargetRemote}", .. commands];
        return Flat(await GdbProcess.StartAsync(gdb, ["-nx", "-batch", .. all.SelectMany(command => new[] { "-ex", command })]));
    }

    private static async Task<string> LldbAsync(GdbListener listener, params string[] commands)
    {
        IEnumerable<string> all = ["settings set interpreter.prompt-on-quit false", $"gdb-remote {listener.Endpoint.TargetRemote}", .. commands];
        return Flat(await GdbProcess.StartAsync("lldb", ["--no-lldbinit", "--batch", .. all.SelectMany(command => new[] { "-o", command })]));
    }

    private static string Flat(string output) => string.Join(' ', output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    private static void Contains(string output, params string[] texts) =>
        Assert.All(texts, text => Assert.True(output.Contains(text, StringComparison.Ordinal), $"no {text} in:\n{output}"));
}
