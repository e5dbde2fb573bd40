using System.Diagnostics;
using Cli.DemoGuest;

namespace Cli.Tests.DemoGuest;

/// <summary>The fallback guest under QEMU, whose ERST and ACPI tables are not ours.</summary>
public sealed class DemoGuestTests
{
    private const string Qemu = "/usr/bin/qemu-system-x86_64";

    [Fact]
    public async Task It_reports_a_panic_resets_shows_the_report_and_powers_off()
    {
        Assert.SkipUnless(File.Exists(Qemu), "qemu-system-x86_64 is not installed: apt-get install qemu-system-x86");
        string directory = Directory.CreateTempSubdirectory("demo-guest-").FullName;
        try
        {
            string image = Path.Combine(directory, "guest");
            string store = Path.Combine(directory, "store");
            await File.WriteAllBytesAsync(image, DemoGuestImage.Build(), TestContext.Current.CancellationToken);
            (int code, string output) = await Run(
                "-kernel", image, "-append", "hello", "-object", $"memory-backend-file,id=erst,mem-path={store},size=64K,share=on",
                "-device", "acpi-erst,memdev=erst", "-device", "pvpanic", "-action", "panic=none");

            Assert.Equal(0, code); // powered off by ACPI
            string[] boots = output.Split("demo: this is GdbStub's own demonstration guest, not Linux\n");
            Assert.Equal(4, boots.Length); // the first boot, the second, and the first line again in the report it shows
            string crash = "Kernel panic - not syncing: demo guest: a task followed a bad pointer\n";
            Assert.Contains("records: 0000000000000000\n", boots[1], StringComparison.Ordinal);
            Assert.Contains("page fault at 00005ead00001000", boots[1], StringComparison.Ordinal);
            Assert.Contains(crash + "demo: report written to the error record store\ndemo: resetting", boots[1], StringComparison.Ordinal);
            Assert.Contains("records: 0000000000000001\ndemo: the report of the last crash, from the store:\nPanic#1 Part1\n", boots[2], StringComparison.Ordinal);
            Assert.EndsWith(crash + "demo: powering off\n", boots[3], StringComparison.Ordinal);

            // The record itself, by the layout of UEFI's appendix N.
            byte[] bytes = await File.ReadAllBytesAsync(store, TestContext.Current.CancellationToken);
            int at = bytes.AsSpan().IndexOf("CPER"u8);
            Assert.True(at > 0);
            Assert.Equal(1, BitConverter.ToUInt16(bytes, at + 10));
            Assert.Equal(new Guid("75a574e3-5052-4b29-8a8e-be2c6490b89d"), new Guid(bytes.AsSpan(at + 64, 16)));
            Assert.Equal(new Guid("c197e04e-d545-4a70-9c17-a5549419eb12"), new Guid(bytes.AsSpan(at + 144, 16)));
            int length = BitConverter.ToInt32(bytes, at + 132);
            Assert.Equal(length + 200, BitConverter.ToInt32(bytes, at + 20));
            string text = System.Text.Encoding.ASCII.GetString(bytes, at + 200, length);
            Assert.StartsWith("Panic#1 Part1\ndemo: this is GdbStub's own", text, StringComparison.Ordinal);
            Assert.EndsWith(crash, text, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(directory, true);
        }
    }

    [Fact]
    public async Task Without_an_error_record_store_it_still_panics_and_resets()
    {
        Assert.SkipUnless(File.Exists(Qemu), "qemu-system-x86_64 is not installed: apt-get install qemu-system-x86");
        string image = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(image, DemoGuestImage.Build(), TestContext.Current.CancellationToken);
            (int code, string output) = await Run("-kernel", image, "-no-reboot");
            Assert.Equal(0, code);
            Assert.Contains("demo: this machine has no error record store\n", output, StringComparison.Ordinal);
            Assert.EndsWith("demo: resetting by the keyboard controller\n", output, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(image);
        }
    }

    private static async Task<(int Code, string Output)> Run(params string[] arguments)
    {
        var start = new ProcessStartInfo(Qemu, [
            "-machine", "pc,accel=tcg", "-cpu", "max", "-m", "64", "-display", "none", "-nodefaults", "-monitor", "none", "-serial", "stdio", .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        using Process process = Process.Start(start)!;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromMinutes(1));
        try
        {
            process.StandardInput.Close();
            string output = await process.StandardOutput.ReadToEndAsync(patience.Token);
            await process.WaitForExitAsync(patience.Token);
            return (process.ExitCode, output.Replace("\r", "", StringComparison.Ordinal));
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }
}
