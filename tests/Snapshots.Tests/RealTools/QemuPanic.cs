using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Emulator;
using Emulator.Memory;

namespace Snapshots.Tests.RealTools;

/// <summary>
/// A real kernel's memory and registers after a real panic, made by QEMU: a RAM image that owes nothing to our own
/// emulator. The guest has 256 MiB and as many CPUs as asked for.
/// </summary>
internal sealed partial class QemuPanic
{
    public const ulong MemorySize = 256 << 20;

    private const string InitScript = """
        #!/bin/busybox sh
        /bin/busybox mount -t proc proc /proc
        /bin/busybox mount -t tmpfs tmpfs /tmp
        /bin/busybox dd if=/dev/urandom of=/tmp/random bs=1M count=8
        /bin/busybox sleep 1000 &
        echo c > /proc/sysrq-trigger

        """;

    /// <summary>All of RAM.</summary>
    public required byte[] Ram { get; init; }

    /// <summary>The CPUs.</summary>
    public required VcpuState[] Vcpus { get; init; }

    /// <summary>VMCOREINFO as it stands in RAM.</summary>
    public required string Vmcoreinfo { get; init; }

    /// <summary>The serial console's log.</summary>
    public required string Console { get; init; }

    /// <summary>Boots, waits for the end of the panic and takes memory and registers; skips the test where QEMU or busybox is missing. With a directory for them, QEMU also writes its own dumps of that instant.</summary>
    public static async Task<QemuPanic> CaptureAsync(string kernel, int cpus, string? dumps = null)
    {
        string qemu = GuestFiles.ProgramOrSkip("qemu-system-x86_64", "qemu-system-x86");
        string busybox = GuestFiles.BusyboxOrSkip();
        string directory = Directory.CreateTempSubdirectory("qemu-panic-").FullName;
        try
        {
            Initramfs.Write(Path.Combine(directory, "initrd"), busybox, InitScript.ReplaceLineEndings("\n"));
            // Four-level paging, as our own machine has it: `-cpu max` would give five.
            using Process process = Process.Start(
                qemu,
                [
                    "-m", "256", "-smp", cpus.ToString(CultureInfo.InvariantCulture), "-cpu", "Nehalem", "-display", "none", "-no-reboot",
                    "-kernel", kernel, "-initrd", Path.Combine(directory, "initrd"), "-append", "console=ttyS0 panic=0",
                    "-serial", $"file:{directory}/console", "-monitor", $"unix:{directory}/monitor,server,nowait",
                ]);
            try
            {
                return await CaptureAsync(process, directory, cpus, dumps);
            }
            finally
            {
                process.Kill();
                await process.WaitForExitAsync();
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>The same as a snapshot.</summary>
    /// <param name="running">Which process each CPU ran, where that is known better than from the console.</param>
    public unsafe Snapshot ToSnapshot(int[]? running = null)
    {
        using var memory = new GuestMemory(MemorySize);
        for (int page = 0; page < Ram.Length / GuestMemory.PageSize; page++)
        {
            ReadOnlySpan<byte> bytes = Ram.AsSpan(page * GuestMemory.PageSize, GuestMemory.PageSize);
            if (bytes.ContainsAnyExcept((byte)0))
            {
                bytes.CopyTo(new Span<byte>(memory.WritePage((ulong)page), GuestMemory.PageSize));
            }
        }

        var state = new MachineState
        {
            Version = MachineState.CurrentVersion,
            InstructionCount = 1_500_000_000,
            Seed = 1,
            RandomDraws = 0,
            Vcpus = Vcpus,
            Devices = Samples.Devices(),
        };
        return new Snapshot(memory.Freeze(), state, new CaptureInfo
        {
            Kind = CaptureKind.Panic,
            Title = "kernel panic: sysrq triggered crash",
            HostTime = DateTimeOffset.UnixEpoch,
            GuestRelease = ReleaseLine().Match(Vmcoreinfo).Groups[1].Value,
            Vmcoreinfo = Vmcoreinfo,
            RunningProcesses = running ?? RunningProcesses(),
        });
    }

    /// <summary>By the oops's own line; the other CPU idles.</summary>
    private int[] RunningProcesses()
    {
        Match line = ProcessLine().Match(Console);
        int[] processes = new int[Vcpus.Length];
        processes[int.Parse(line.Groups[1].Value, CultureInfo.InvariantCulture)] = int.Parse(line.Groups[2].Value, CultureInfo.InvariantCulture);
        return processes;
    }

    private static async Task<QemuPanic> CaptureAsync(Process process, string directory, int cpus, string? dumps)
    {
        string console = "";
        for (int i = 0; i < 600 && !console.Contains("end Kernel panic", StringComparison.Ordinal); i++)
        {
            Assert.False(process.HasExited, "QEMU ended before the guest's panic");
            await Task.Delay(200);
            console = File.Exists(directory + "/console") ? await File.ReadAllTextAsync(directory + "/console") : "";
        }

        Assert.Contains("end Kernel panic", console, StringComparison.Ordinal);

        // The line just seen is printed from deep inside printk(); panic() then spins, which is where to look at it.
        await Task.Delay(1500);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(directory + "/monitor"));
        await CommandAsync(socket, "");
        await CommandAsync(socket, "stop");
        List<VcpuState> vcpus = [];
        for (int i = 0; i < cpus; i++)
        {
            await CommandAsync(socket, $"cpu {i}");
            vcpus.Add(ParseRegisters(await CommandAsync(socket, "info registers")));
        }

        if (dumps is not null)
        {
            await CommandAsync(socket, $"dump-guest-memory {dumps}/elf");
            await CommandAsync(socket, $"dump-guest-memory -p {dumps}/paging");
            await CommandAsync(socket, $"dump-guest-memory -z {dumps}/zlib");
        }

        await CommandAsync(socket, $"pmemsave 0 0x{MemorySize:x} \"{directory}/ram\"");
        byte[] ram = await ReadWholeAsync(directory + "/ram");
        return new QemuPanic { Ram = ram, Vcpus = [.. vcpus], Vmcoreinfo = FindVmcoreinfo(ram), Console = console };
    }

    // The monitor may have shown its prompt once more than it was told something, and is then ahead of what it does.
    private static async Task<byte[]> ReadWholeAsync(string path)
    {
        for (int i = 0; i < 600 && !(File.Exists(path) && (ulong)new FileInfo(path).Length == MemorySize); i++)
        {
            await Task.Delay(200);
        }

        byte[] bytes = await File.ReadAllBytesAsync(path);
        Assert.Equal(MemorySize, (ulong)bytes.Length);
        return bytes;
    }

    private static async Task<string> CommandAsync(Socket socket, string command)
    {
        if (command.Length != 0)
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes(command + "\n"));
        }

        var answer = new StringBuilder();
        byte[] buffer = new byte[65536];
        while (!answer.ToString().TrimEnd().EndsWith("(qemu)", StringComparison.Ordinal))
        {
            int read = await socket.ReceiveAsync(buffer);
            Assert.True(read > 0, "QEMU's monitor went away");
            answer.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }

        return answer.ToString();
    }

    private static VcpuState ParseRegisters(string text)
    {
        ulong Value(string name) => ulong.Parse(
            Regex.Match(text, $@"\b{name}\s*=\s*([0-9a-f]+)").Groups[1].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        SegmentState Segment(string name)
        {
            Match match = Regex.Match(text, $"^{name}\\s*=([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)", RegexOptions.Multiline);
            ulong Part(int group) => ulong.Parse(match.Groups[group].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            return new SegmentState((ushort)Part(1), (ushort)((Part(4) >> 8) & 0xF0FF), (uint)Part(3), Part(2));
        }

        TableState Table(string name)
        {
            Match match = Regex.Match(text, $"^{name}=\\s*([0-9a-f]+) ([0-9a-f]+)", RegexOptions.Multiline);
            return new TableState(
                ulong.Parse(match.Groups[1].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture),
                ushort.Parse(match.Groups[2].Value[^4..], NumberStyles.HexNumber, CultureInfo.InvariantCulture));
        }

        string[] gpr = ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"];
        return Samples.Vcpu(0) with
        {
            Gpr = [.. gpr.Select(Value)],
            Rip = Value("RIP"),
            Rflags = Value("RFL"),
            Segments = [.. ((string[])["ES", "CS", "SS", "DS", "FS", "GS", "LDT", "TR"]).Select(Segment)],
            Gdtr = Table("GDT"),
            Idtr = Table("IDT"),
            Cr0 = Value("CR0"),
            Cr2 = Value("CR2"),
            Cr3 = Value("CR3"),
            Cr4 = Value("CR4"),
            Cr8 = 0,
            Efer = Value("EFER"),
        };
    }

    private static string FindVmcoreinfo(byte[] ram)
    {
        ReadOnlySpan<byte> key = "OSRELEASE="u8;
        for (int at = ram.AsSpan().IndexOf(key); at >= 0;)
        {
            int length = ram.AsSpan(at).IndexOf((byte)0);
            string text = Encoding.Latin1.GetString(ram, at, Math.Min(length, 8192));
            if (text.Length > 500 && text.Contains("SYMBOL(", StringComparison.Ordinal) && text.Contains("PAGESIZE=", StringComparison.Ordinal))
            {
                return text;
            }

            int next = ram.AsSpan(at + 1).IndexOf(key);
            at = next < 0 ? -1 : at + 1 + next;
        }

        throw new InvalidDataException("The guest's RAM has no VMCOREINFO.");
    }

    [GeneratedRegex("CPU: ([0-9]+) PID: ([0-9]+) ")]
    private static partial Regex ProcessLine();

    [GeneratedRegex("OSRELEASE=(.*)")]
    private static partial Regex ReleaseLine();
}
