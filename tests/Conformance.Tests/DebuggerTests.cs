using System.Globalization;
using System.Net;
using Debugging;
using Debugging.Kernels;
using Debugging.Tests;
using Emulator;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging.Abstractions;
using Snapshots;
using Snapshots.Tests;
using Snapshots.Tests.RealTools;

namespace Conformance.Tests;

/// <summary>Debuggers on Debian: from the first instruction, at the trap, and on the archive of it.</summary>
public sealed class DebuggerTests(DebianRuns runs)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Gdb_breaks_steps_and_watches_in_the_decompressor()
    {
        LiveDebian live = await runs.LiveAsync();
        string output = Flat(live.FirstSession);
        Assert.Contains($"$1 = 0x{live.Entry:x}", output, StringComparison.Ordinal);

        // Where every x86-64 kernel is entered: arch/x86/boot/compressed/head_64.S, startup_64.
        Assert.Matches(@"cld .*cli .*xor %eax,%eax", output);
        Assert.Contains($"$3 = 0x{live.Entry + 1:x}", output, StringComparison.Ordinal);
        Assert.Contains($"Breakpoint 1, 0x{live.Entry + 2:x16} in ?? ()", output, StringComparison.Ordinal);
        Assert.Contains($"Breakpoint 2, 0x{live.Entry + 4:x16} in ?? ()", output, StringComparison.Ordinal);
        Assert.Contains($"$4 = 0x{live.Entry + 4:x}", output, StringComparison.Ordinal);
        Assert.Contains("Hardware access (read/write) watchpoint 3: *(long *) $slot", output, StringComparison.Ordinal);
        Assert.Matches(@"Hardware access \(read/write\) watchpoint 3: \*\(long \*\) \$slot Value = \S+ 0x[0-9a-f]{16} in", output);
        Assert.Matches(@"\$5 = \[ .*\] \[Inferior", output);
        Assert.Contains("detached]", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_debugger_from_the_first_instruction_on_does_not_change_the_guests_course()
    {
        LiveDebian live = await runs.LiveAsync();
        Assert.Equal(runs.Crash.Exit, live.Trap);
        Assert.Equal(runs.Crash.Guest.Console, live.Console);
        Assert.Equal(runs.Crash.Hash, live.Look(StateHash.Of));
    }

    [Fact]
    public async Task The_archive_answers_every_packet_as_the_frozen_machine_does()
    {
        LiveDebian live = await runs.LiveAsync();
        using var directory = new TemporaryDirectory();
        (byte[] ram, string path) = Archive(live, directory);
        using ArchiveReader archive = ArchiveReader.Open(path);
        Assert.True(ram.AsSpan().SequenceEqual(Ram.Read(archive)));
        await using GdbListener served = Serve(archive);
        using RspClient one = RspClient.Connect(live.Listener.Endpoint);
        using RspClient other = RspClient.Connect(served.Endpoint);
        VcpuState vcpu = archive.Vcpus[0];
        List<string> packets = ["?", "qC", "qfThreadInfo", "qsThreadInfo", "Hg1", "g", "qXfer:features:read:target.xml:0,1000"];
        packets.AddRange(Enumerable.Range(0, 120).Select(register => $"p{register:x}"));
        ulong[] places = [vcpu.Rip - 256, vcpu.Gpr[4] - 0x1000, vcpu.Gpr[4], vcpu.Idtr.Base, vcpu.Gdtr.Base, vcpu.Segments[5].Base, vcpu.Rip & ~0x1F_FFFFUL, 0, 0xFFFF_FFFF_FF5F_C000, vcpu.Cr3, 0x8000_0000_0000];
        foreach (ulong place in places)
        {
            packets.Add($"m{place:x},400");
            packets.Add($"x{place:x},200");
            packets.Add($"m{place + 0xFFE:x},4");
        }

        // The file with the kernel's symbols, and its tasks.
        packets.AddRange(["qXfer:exec-file:read::0,100", "qXfer:threads:read::0,10000", "vFile:open:2f766d6c696e7578,0,0", "vFile:fstat:0"]);
        packets.AddRange(Enumerable.Range(0, 200).Select(i => $"vFile:pread:0,10000,{i * 0x10000:x}"));
        foreach (int task in (int[])[10_000_002, 10_000_001, 9_000_000])
        {
            packets.AddRange([$"Hg{task:x}", "g", $"m{vcpu.Gpr[4]:x},100", $"qThreadExtraInfo,{task:x}"]);
        }

        foreach (string packet in packets)
        {
            Assert.Equal(one.Ask(packet), other.Ask(packet));
        }

        Assert.StartsWith("l/vmlinux", one.Ask("qXfer:exec-file:read::0,100"));
        Assert.StartsWith("l/vmlinux", other.Ask("qXfer:exec-file:read::0,100"));

        foreach (string command in (string[])["info", $"phys {vcpu.Cr3 & ~0xFFFUL:x} 100", "ps", "bt all", "modules", "symbols", "phys a0000 10", "phys 100000 40", "journal 100", "where"])
        {
            Assert.Equal(one.Monitor(command), other.Monitor(command));
        }

        Assert.Equal(one.Transcript, other.Transcript);
        Assert.True(one.Ask($"m{vcpu.Rip:x},10").Length == 32 && one.Ask($"m{vcpu.Gpr[4]:x},100").Length == 512);
    }

    [Fact]
    public async Task Gdb_sees_the_same_on_the_frozen_machine_and_on_its_archive_and_neither_runs()
    {
        LiveDebian live = await runs.LiveAsync();
        using var directory = new TemporaryDirectory();
        (_, string path) = Archive(live, directory);
        using ArchiveReader archive = ArchiveReader.Open(path);
        await using GdbListener served = Serve(archive);
        string[] commands =
        [
            "info registers", "p $xmm0", "x/4i $pc", "x/32gx $rsp", "info threads", "x/8gx 0", "p/x $cr3", "p 4000 + 2", "continue", "stepi", "p 5000 + 3",
            "p/x $pc",
        ];
        string frozen = await GdbProcess.RunAsync(live.Listener.Endpoint.TargetRemote, commands);
        string archived = await GdbProcess.RunAsync(served.Endpoint.TargetRemote, commands);
        Assert.Contains("the machine is frozen at its panic", frozen, StringComparison.Ordinal);
        Assert.Contains("this is an archived machine, which does not run", archived, StringComparison.Ordinal);
        foreach (string output in (string[])[frozen, archived])
        {
            Assert.Contains("= 4002", output, StringComparison.Ordinal);
            Assert.Contains("= 5003", output, StringComparison.Ordinal);
            Assert.Contains("Cannot access memory at address 0x0", output, StringComparison.Ordinal);
            Assert.Contains(archive.Vcpus[0].Rip.ToString("x", CultureInfo.InvariantCulture), output, StringComparison.Ordinal);
        }

        // Up to where the two say in their own words why they do not run.
        Assert.Equal(Upto(frozen, "= 4002"), Upto(archived, "= 4002"));

        static string Upto(string text, string end) => text[..text.IndexOf(end, StringComparison.Ordinal)];
    }

    [Fact]
    public async Task Crash_and_drgn_open_the_archive_as_it_is()
    {
        string debug = DebianFiles.DebugKernel();
        LiveDebian live = await runs.LiveAsync();
        using var directory = new TemporaryDirectory();
        (_, string path) = Archive(live, directory);
        string crash = await CrashTool.RunAsync(debug, path, "sys", "bt", "log");
        Assert.Contains("PANIC: \"Kernel panic - not syncing: sysrq triggered crash\"", crash, StringComparison.Ordinal);
        Assert.Contains("RELEASE: " + live.Verdict!.Report!.Release, crash, StringComparison.Ordinal);
        Assert.Matches(@"#\d+ \[[0-9a-f]+\] (panic|sysrq_handle_crash|__handle_sysrq)[.a-z0-9]* at ", crash);
        Assert.Contains("write_sysrq_trigger at ", crash, StringComparison.Ordinal);
        Assert.Contains("sysrq: Trigger a crash", crash, StringComparison.Ordinal);

        string drgn = await DrgnTool.RunAsync(debug, path, """
            from drgn.helpers.linux.pid import for_each_task
            for task in for_each_task(prog):
                print("task", task.pid.value_(), task.comm.string_().decode())
            """);
        Assert.Contains("task 1 init", drgn, StringComparison.Ordinal);
        Assert.Contains("task 2 kthreadd", drgn, StringComparison.Ordinal);
        Assert.True(drgn.Split('\n').Count(line => line.StartsWith("task ", StringComparison.Ordinal)) > 20, drgn);
    }

    private static (byte[] Ram, string Path) Archive(LiveDebian live, TemporaryDirectory directory)
    {
        using Snapshot snapshot = live.Capture();
        StoredArchive stored = Store.Open(directory.File("store")).Write(snapshot, cancellation: Cancellation);
        Assert.True(ArchiveVerifier.Verify(stored.Path, cancellation: Cancellation).IsWhole);
        return (live.Look(Ram.Read), stored.Path);
    }

    private static GdbListener Serve(ArchiveReader archive) => GdbListener.Start(
        new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new ImageTargetProvider(() => new OverlayView(archive), new DebugOptions { Kernels = new KernelSymbols() }), NullLogger.Instance);

    private static string Flat(string output) => string.Join(' ', output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
}
