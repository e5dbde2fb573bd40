using GuestOs.Linux;

namespace GuestOs.Tests;

public sealed class KernelWordsTests
{
    // A message is "facility.level text"; messages are separated by bars.
    [Theory]
    [InlineData("0.6 a|0.0 Kernel panic - not syncing: x|0.4 CPU: 0", 1)]
    [InlineData("0.0 Kernel panic - not syncing: x|1.4 a process' words, later", 0)]
    [InlineData("0.0 reboot: Restarting system|0.0 Kernel panic - not syncing: on the way down", 1)]
    [InlineData("0.0 Kernel panic - not syncing: x|0.0 Rebooting in 10 seconds..", 0)]
    [InlineData("0.0 Kernel panic - not syncing: x|0.0 ---[ end Kernel panic - not syncing: x ]---", 0)]
    [InlineData("1.0 Kernel panic - not syncing: a process wrote <8>", -1)]
    [InlineData("1.4 Kernel panic - not syncing: a process wrote", -1)]
    [InlineData("3.0 Kernel panic - not syncing: a daemon wrote", -1)]
    [InlineData("0.4 Kernel panic - not syncing: IN=eth0 OUT=", -1)]
    [InlineData("0.0 Kernel panic - not syncing: IN=eth0|0.0 reboot: Restarting system", -1)]
    [InlineData("0.0 Kernel panic - not syncing: IN=eth0|0.6 sysrq: Resetting", -1)]
    [InlineData("0.6 said: Kernel panic - not syncing: x", -1)]
    [InlineData("0.6 Out of memory: Killed process 88 (tail)", -1)]
    [InlineData("0.1 BUG: kernel NULL pointer dereference, address: 0", -1)]
    [InlineData("", -1)]
    public void A_panic_is_the_kernels_own_emergency(string log, int expected) => Assert.Equal(expected, KernelWords.FindPanic(Log(log)));

    [Theory]
    [InlineData("0.0 reboot: Restarting system", true)]
    [InlineData("0.0 reboot: Restarting system|0.5 reboot: machine restart", true)]
    [InlineData("0.0 reboot: Restarting system with command 'bootloader'", true)]
    [InlineData("0.0 Restarting system.", true)]
    [InlineData("0.6 sysrq: Resetting", true)]
    [InlineData("0.4 SysRq : Resetting", true)]
    [InlineData("0.0 reboot: Restarting system|1.4 a|1.4 b|1.4 c|1.4 d|1.4 e|1.4 f|1.4 g|1.4 h|1.4 i", true)]
    [InlineData("0.0 reboot: Restarting system|0.6 a|0.6 b|0.6 c|0.6 d|0.6 e|0.6 f|0.6 g|0.6 h", false)]
    [InlineData("0.0 reboot: Restarting system|0.0 Kernel panic - not syncing: x", false)]
    [InlineData("0.0 reboot: Restarting system|0.1 BUG: unable to handle page fault for address: 0", false)]
    [InlineData("1.0 reboot: Restarting system", false)]
    [InlineData("0.4 reboot: Restarting system", false)]
    [InlineData("0.0 reboot: Power down", false)]
    [InlineData("0.0 reboot: System halted", false)]
    [InlineData("0.6 sysrq: Trigger a crash", false)]
    [InlineData("", false)]
    public void A_restart_is_announced_by_the_kernels_last_words(string log, bool expected) =>
        Assert.Equal(expected, KernelWords.RestartAnnounced(Log(log)));

    [Theory]
    [InlineData("0.4 CPU: 3 PID: 1 Comm: a|0.0 Kernel panic - not syncing: x|0.4 CPU: 1 PID: 88 Comm: sh Not tainted 6.1.0 #1", 1, 1)]
    [InlineData("0.4 CPU: 3 PID: 1 Comm: a|0.0 Kernel panic - not syncing: Fatal exception", 1, 3)]
    [InlineData("0.0 Kernel panic - not syncing: x|0.4 CPU: 12 UID: 0 PID: 1 Comm: init", 0, 12)]
    [InlineData("0.0 Kernel panic - not syncing: x|1.4 CPU: 1 PID: 88 Comm: sh", 0, null)]
    [InlineData("0.0 Kernel panic - not syncing: x|0.4 CPU: 4000000000 PID: 1", 0, null)]
    [InlineData("0.0 Kernel panic - not syncing: x", 0, null)]
    public void The_panics_cpu_is_in_its_trace(string log, int panic, int? expected) => Assert.Equal(expected, KernelWords.FindCpu(Log(log), panic));

    [Fact]
    public void Outside_of_any_task_the_caller_is_the_cpu() =>
        Assert.Equal(5, KernelWords.FindCpu([new PrintkRecord(0, 0, 0, 0, 0x8000_0005, "Kernel panic - not syncing: x")], 0));

    [Theory]
    [InlineData("0.1 BUG: kernel NULL pointer dereference|0.1 #PF: supervisor write|0.4 Oops: 0002 [#1]|0.0 Kernel panic - not syncing: Fatal exception", 3, "BUG: kernel NULL pointer dereference")]
    [InlineData("0.4 invalid opcode: 0000 [#1]|0.4 ---[ end trace 0 ]---|0.1 BUG: second|0.4 ---[ end trace 0 ]---|0.0 Kernel panic - not syncing: Fatal exception", 4, "BUG: second")]
    [InlineData("0.1 BUG: survived|0.4 ---[ end trace 0 ]---|0.0 Kernel panic - not syncing: sysrq triggered crash", 2, null)]
    [InlineData("1.1 BUG: said a process|0.0 Kernel panic - not syncing: Fatal exception", 1, null)]
    public void A_fatal_exceptions_oops_is_its_cause(string log, int panic, string? expected) => Assert.Equal(expected, KernelWords.FindFault(Log(log), panic));

    [Theory]
    [InlineData("0.5 Linux version 6.1.0-56-cloud-amd64 (debian) #1 SMP", "6.1.0-56-cloud-amd64")]
    [InlineData("0.4 CPU: 0 PID: 1 Comm: sh Not tainted 6.1.0-56-cloud-amd64 #1  Debian 6.1.192-2", "6.1.0-56-cloud-amd64")]
    [InlineData("0.4 CPU: 0 PID: 1 Comm: sh Tainted: G      D            6.9.1 #2", "6.9.1")]
    [InlineData("1.5 Linux version 9.9", null)]
    [InlineData("0.5 Linux version ", null)]
    [InlineData("0.5 CPU: 0 PID: 1 Comm: #", null)]
    public void The_release_is_in_the_banner_and_in_traces(string log, string? expected) => Assert.Equal(expected, KernelWords.FindRelease(Log(log)));

    [Theory]
    [InlineData("0.6 Command line: console=ttyS0 elfcorehdr=0x2f000000", true)]
    [InlineData("0.5 Kernel command line: a elfcorehdr=1M@2M b", true)]
    [InlineData("0.6 Command line: console=ttyS0 noelfcorehdr=1", false)]
    [InlineData("1.6 Command line: x elfcorehdr=0", null)]
    [InlineData("", null)]
    [InlineData("0.6 Command line: quiet|0.6 says Command line: x elfcorehdr=0", false)]
    public void A_crash_kernel_knows_from_its_command_line(string log, bool? expected) => Assert.Equal(expected, KernelWords.IsCrashKernel(Log(log)));

    [Theory]
    [InlineData("0.6 Reserving 192MB of memory at 560MB for crashkernel (System RAM: 767MB)", 0x2300_0000UL, 0x0C00_0000UL)]
    [InlineData("0.6 crashkernel reserved: 0x0000000023000000 - 0x000000002f000000 (192 MB)", 0x2300_0000UL, 0x0C00_0000UL)]
    [InlineData("0.6 Reserving 192MB of low memory at 560MB for crashkernel (x)", 0UL, 0UL)]
    [InlineData("1.6 Reserving 192MB of memory at 560MB for crashkernel (x)", 0UL, 0UL)]
    [InlineData("0.6 crashkernel reserved: 0x2f000000 - 0x23000000 (192 MB)", 0UL, 0UL)]
    [InlineData("0.6 Reserving MB of memory at MB for crashkernel", 0UL, 0UL)]
    [InlineData("0.6 crashkernel reserved: 0x", 0UL, 0UL)]
    public void A_crash_kernels_memory_is_in_the_log(string log, ulong start, ulong length)
    {
        Assert.Equal(length > 0, KernelWords.TryFindCrashReservation(Log(log), out ulong foundStart, out ulong foundLength));
        Assert.Equal((start, length), (foundStart, foundLength));
    }

    internal static List<PrintkRecord> Log(string log)
    {
        var records = new List<PrintkRecord>();
        foreach (string message in log.Split('|', StringSplitOptions.RemoveEmptyEntries))
        {
            int dot = message.IndexOf('.', StringComparison.Ordinal);
            int space = message.IndexOf(' ', StringComparison.Ordinal);
            records.Add(new PrintkRecord((ulong)records.Count, 0, byte.Parse(message[..dot], null), byte.Parse(message[(dot + 1)..space], null), 1, message[(space + 1)..]));
        }

        return records;
    }
}
