using System.Globalization;
using System.Text.RegularExpressions;
using Debugging.Kernels;
using Debugging.Tests;
using GuestOs.Linux.Symbols;
using Snapshots;
using Snapshots.Tests;
using Snapshots.Tests.RealTools;

namespace Conformance.Tests.Symbols;

/// <summary>
/// A dump that QEMU wrote of a machine with two CPUs, one of which panicked and stopped the other by an interrupt; and
/// its RAM alone, which has no registers at all.
/// </summary>
public sealed class ForeignSymbolTests
{
    [Fact]
    public async Task Both_cpus_and_every_task_of_QEMUs_dump_have_their_stacks_and_RAM_alone_has_those_of_the_tasks()
    {
        (string kernel, string debug) = GuestFiles.KernelOrSkip();
        GdbProcess.Require();
        using var directory = new TemporaryDirectory();
        QemuPanic panic = await QemuPanic.CaptureAsync(kernel, 2, directory.Path);
        using IMachineImage dump = ImageFile.Open(directory.File("elf"));
        KernelImage image = KernelImage.Find(dump)!;
        int panicked = int.Parse(Regex.Match(panic.Console, @"CPU: (\d) PID").Groups[1].Value, CultureInfo.InvariantCulture);
        Assert.Equal(panicked, image.PanicVcpu);
        Assert.Equal(2, image.Tasks.Count(task => task.Vcpu is not null));

        // What drgn finds with the kernel's DWARF, of an archive of the same instant. It believes a CPU's registers to be a
        // task's if the archive says so; of a task that is said to wait it reads what it last left on its stack.
        int[] running = [.. Enumerable.Range(0, 2).Select(vcpu => image.TaskOn(vcpu)!.Pid)];
        Assert.Contains($"CPU: {panicked} PID: {running[panicked]} ", panic.Console, StringComparison.Ordinal);
        using (Snapshot snapshot = panic.ToSnapshot(running))
        {
            string archive = Store.Open(directory.File("store")).Write(snapshot, cancellation: TestContext.Current.CancellationToken).Path;
            await Reference.StacksAreThoseOfDrgnAsync(image, debug, archive);
        }

        // gdb begins with the CPU that panicked. The other one's stack goes over from the interrupt's to the idle task's.
        await using (ServedKernel served = ServedKernel.Start(() => new OverlayView(dump)))
        {
            string output = await served.GdbAsync(["p $_thread", "p $_siginfo.si_signo", "thread apply all bt"]);
            Assert.Contains($"$1 = {panicked + 1}\n", output, StringComparison.Ordinal);
            CompareStacks(image, dump, output, image.Tasks.Count + 2);
            string idle = string.Join(' ', image.Unwind(dump.Vcpus[1 - panicked]).Select(frame => frame.Symbol));
            Assert.StartsWith("stop_this_cpu ", idle);
            Assert.EndsWith(panicked == 0 ? "start_secondary secondary_startup_64_no_verify" : "start_kernel secondary_startup_64_no_verify", idle);
        }

        // The same with the debug package's lines, whose own frames end at the interrupt.
        await using (ServedKernel served = ServedKernel.Start(() => new OverlayView(dump), new KernelSymbols { DebugFiles = new DebugFiles([], [], debug) }))
        {
            string output = await served.GdbAsync([$"thread {2 - panicked}", "bt"]);
            Assert.Matches(@"stop_this_cpu \(.*\) at arch/x86/kernel/process\.c:\d+", output);
            Assert.Contains("<signal handler called>", output, StringComparison.Ordinal);
            Assert.Matches(@"do_idle \(\) at kernel/sched/idle\.c:\d+", output);
            Assert.DoesNotContain("Backtrace stopped", output, StringComparison.Ordinal);
        }

        string ram = directory.File("ram");
        await File.WriteAllBytesAsync(ram, panic.Ram, TestContext.Current.CancellationToken);
        using IMachineImage bare = ImageFile.Open(ram, new ImageOptions { RawBase = 0, FindVmcoreinfo = _ => panic.Vmcoreinfo });
        KernelImage alone = KernelImage.Find(bare)!;
        Assert.Equal(image.Tasks.Select(task => task.ToString()), alone.Tasks.Select(task => task.ToString()));
        Assert.DoesNotContain(alone.Tasks, task => task.Vcpu is not null);
        await using (ServedKernel served = ServedKernel.Start(() => new OverlayView(bare)))
        {
            string output = await served.GdbAsync(["p $rax", "p init_task.comm", "thread apply all bt"]);
            Assert.Contains("$1 = <unavailable>\n", output, StringComparison.Ordinal);
            Assert.Contains("\"swapper/0", output, StringComparison.Ordinal);
            Dictionary<int, string[]> stacks = ServedKernel.Stacks(output);
            foreach (KernelTask task in image.Tasks.Where(task => task.Vcpu is null && task.Pid != 0))
            {
                Assert.Equal(ServedKernel.Frames(image.Unwind(task)), stacks[10_000_000 + task.Pid]);
            }
        }
    }

    private static void CompareStacks(KernelImage image, IMachineImage dump, string output, int threads)
    {
        Dictionary<int, string[]> stacks = ServedKernel.Stacks(output);
        Assert.Equal(threads, stacks.Count);
        for (int vcpu = 0; vcpu < 2; vcpu++)
        {
            Assert.Equal(ServedKernel.Frames(image.Unwind(dump.Vcpus[vcpu])), stacks[vcpu + 1]);
        }

        foreach (KernelTask task in image.Tasks)
        {
            Assert.Equal(ServedKernel.Frames(image.Unwind(task)), stacks[task.Pid == 0 ? 9_000_000 + task.Cpu : 10_000_000 + task.Pid]);
        }
    }
}
