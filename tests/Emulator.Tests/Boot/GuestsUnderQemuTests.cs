using System.Diagnostics;
using Guests;

namespace Emulator.Tests.Boot;

/// <summary>
/// The guests under QEMU, which knows nothing of us: what they expect of a PC must be what another PC does, or a
/// conformance test of our machine would only prove that guest and machine share a mistake.
/// </summary>
public sealed class GuestsUnderQemuTests
{
    public static TheoryData<string, string> Runs
    {
        get
        {
            var runs = new TheoryData<string, string>();
            foreach (Guest guest in GuestCatalog.All)
            {
                runs.Add(guest.Name, "max,vendor=GenuineIntel");
            }

            runs.Add("exceptions", "max,vendor=AuthenticAMD");
            return runs;
        }
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public async Task A_guest_does_there_what_it_says(string name, string cpu)
    {
        Assert.SkipUnless(
            File.Exists("/usr/bin/qemu-system-x86_64"), "qemu-system-x86_64 is not installed: apt-get install qemu-system-x86");
        Guest guest = GuestCatalog.Get(name);
        string image = Path.Combine(Path.GetTempPath(), $"guest-{name}-{Guid.NewGuid():n}");
        await File.WriteAllBytesAsync(image, guest.Image, TestContext.Current.CancellationToken);
        try
        {
            (int code, string output) = await Run(guest, image, cpu);
            Assert.Equal(guest.Output, output);
            Assert.Equal(guest.ExitCode ?? 0, code); // -no-reboot ends it with 0 at the reset
        }
        finally
        {
            File.Delete(image);
        }
    }

    private static async Task<(int Code, string Output)> Run(Guest guest, string image, string cpu)
    {
        List<string> arguments =
        [
            "-machine", "pc,accel=tcg", "-cpu", cpu, "-m", "64", "-display", "none", "-nodefaults", "-monitor", "none",
            "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-device", "pvpanic", "-action", "panic=none",
        ];
        if (guest.NeedsGigahertzTsc)
        {
            arguments.AddRange(["-icount", "shift=0,sleep=off"]);
        }

        if (guest.ExitValue is null)
        {
            arguments.Add("-no-reboot");
        }

        arguments.AddRange(guest.Format == GuestFormat.BootSector
            ? ["-drive", $"file={image},format=raw,if=floppy"]
            : ["-kernel", image, "-append", guest.CommandLine]);

        var start = new ProcessStartInfo("/usr/bin/qemu-system-x86_64", arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        using Process process = Process.Start(start)!;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromMinutes(2));
        try
        {
            process.StandardInput.Close();
            Task<string> errors = process.StandardError.ReadToEndAsync(patience.Token);
            string output = await process.StandardOutput.ReadToEndAsync(patience.Token);
            await process.WaitForExitAsync(patience.Token);
            TestContext.Current.TestOutputHelper?.WriteLine(await errors);
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
