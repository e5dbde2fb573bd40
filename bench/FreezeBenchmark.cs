using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using Emulator;
using Emulator.Boot;
using Emulator.Memory;
using Snapshots;

namespace Bench;

/// <summary>
/// How long a machine stands still for a snapshot, and how long it then takes until an archive of it is on the disk. The
/// pause must not grow with RAM, so a machine of 256 MiB is measured beside one of 4 GiB.
/// </summary>
internal static class FreezeBenchmark
{
    /// <summary>What the issue allows, in microseconds.</summary>
    private const double Limit = 1000;

    private const ulong GuestAddress = 0x10_0000, FirstPage = 0x20_0000;

    // Four instructions a page: some 5000 pages are written, and so copied, between two freezes.
    private const ulong InstructionsBetween = 20_000;

    /// <summary>Runs and prints. 0 when every pause was within the limit.</summary>
    public static int Run(Arguments arguments)
    {
        int freezes = arguments.Number("--freezes", 50, 20, 10_000);
        int fill = arguments.Number("--fill", 100, 1, 100);
        string directory = Path.Combine(arguments.Text("--directory") ?? Path.GetTempPath(), $"gdbstub-bench-{Environment.ProcessId}");
        Report.PrintHost();
        Console.WriteLine($"{freezes} freezes of each machine, {fill} % of its RAM written; archives go to {directory} ({FileSystemOf(directory)})");
        List<string[]> rows =
        [
            ["machine", "pages in use", "pause median µs", "most µs", "most wall µs", "first µs", "archive durable s", "MB", "MB/s of RAM"],
        ];
        double worst = 0;
        try
        {
            foreach (ulong size in (ReadOnlySpan<ulong>)[256UL << 20, 4UL << 30])
            {
                rows.Add(Measure(size, freezes, fill, directory, ref worst));
            }
        }
        finally
        {
            if (Directory.Exists(directory))
            {
                Directory.Delete(directory, recursive: true);
            }
        }

        Console.WriteLine();
        Report.PrintTable(rows);
        Console.WriteLine("  pauses are without what this thread had to wait for a CPU, but for \"most wall\"; the first of all includes the runtime's compiling");
        Console.WriteLine($"  the longest pause of all, {Report.Number(worst, 0)} µs, is {(worst < Limit ? "within" : "beyond")} the limit of {Limit} µs");
        return worst < Limit ? 0 : 1;
    }

    private static string[] Measure(ulong size, int freezes, int fill, string directory, ref double worst)
    {
        using var machine = new Machine(new MachineOptions { Memory = size });
        machine.Boot(new BootRequest
        {
            Kernel = Toucher(machine.Ram[0]),
            MemoryMap = [],
            Format = KernelFormat.Flat,
            FlatAddress = GuestAddress,
            FlatEntryMode = FlatEntryMode.Protected,
        });
        Fill(machine, fill);

        List<double> pauses = [];
        double mostWall = 0;
        MemorySnapshot? memory = null;
        MachineState? state = null;
        for (int i = 0; i < freezes; i++)
        {
            machine.Run(InstructionsBetween);
            double waitedBefore = WaitedForCpu();
            long start = Stopwatch.GetTimestamp();
            MemorySnapshot next = machine.Memory.Freeze();
            state = machine.Save();
            double wall = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
            pauses.Add(Math.Max(0, wall - (WaitedForCpu() - waitedBefore)));
            mostWall = Math.Max(mostWall, wall);

            // The one before lives through the writes, as a crash does that is being archived.
            memory?.Dispose();
            memory = next;
        }

        worst = Math.Max(worst, pauses.Max());
        long inUse = machine.Memory.AllocatedPages;
        var info = new CaptureInfo { Kind = CaptureKind.Request, Title = "benchmark", HostTime = DateTimeOffset.UtcNow };
        using var snapshot = new Snapshot(memory!, state!, info);
        long begin = Stopwatch.GetTimestamp();
        StoredArchive archive = Store.Open(directory).Write(snapshot);
        double seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        double megabytes = new FileInfo(archive.Path).Length / 1e6;
        File.Delete(archive.Path);
        return
        [
            $"{size >> 20} MiB",
            $"{inUse}",
            Report.Number(Report.Median(pauses), 1),
            Report.Number(pauses.Max(), 1),
            Report.Number(mostWall, 1),
            Report.Number(pauses[0], 1),
            Report.Number(seconds, 2),
            Report.Number(megabytes, 1),
            Report.Number(size / 1e6 / seconds, 0),
        ];
    }

    // Microseconds this thread was ready and another ran: the second field of proc(5)'s schedstat; 0 where there is none.
    private static double WaitedForCpu() =>
        File.Exists("/proc/thread-self/schedstat")
            ? double.Parse(File.ReadAllText("/proc/thread-self/schedstat").Split(' ')[1], CultureInfo.InvariantCulture) / 1000
            : 0;

    /// <summary>A guest that increments one word in each page of <paramref name="low"/>, round and round.</summary>
    private static byte[] Toucher(PhysicalRange low)
    {
        byte[] code =
        [
            0xBF, 0, 0, 0, 0,             // 00 mov edi, FirstPage
            0xFF, 0x07,                   // 05 inc dword [edi]
            0x81, 0xC7, 0, 0x10, 0, 0,    // 07 add edi, 1000h
            0x81, 0xFF, 0, 0, 0, 0,       // 0D cmp edi, the end of low RAM
            0x72, 0xF0,                   // 13 jb 05
            0xEB, 0xE9,                   // 15 jmp 00
        ];
        BinaryPrimitives.WriteUInt32LittleEndian(code.AsSpan(1), (uint)FirstPage);
        BinaryPrimitives.WriteUInt32LittleEndian(code.AsSpan(0xF), (uint)(low.Start + low.Length - GuestMemory.PageSize));
        return code;
    }

    /// <summary>
    /// Writes that share of the pages, spread evenly. Half of each is noise and half repeats: a compressor has about as
    /// much to do as with a real machine's RAM.
    /// </summary>
    private static void Fill(Machine machine, int percent)
    {
        byte[] page = new byte[GuestMemory.PageSize];
        var noise = new Random(1);
        int due = 0;
        foreach (PhysicalRange range in machine.Ram)
        {
            for (ulong at = Math.Max(range.Start, FirstPage); at < range.Start + range.Length; at += GuestMemory.PageSize)
            {
                due += percent;
                if (due < 100)
                {
                    continue;
                }

                due -= 100;
                noise.NextBytes(page.AsSpan(0, page.Length / 2));
                page.AsSpan(page.Length / 2).Fill((byte)(at >> 12));
                if (machine.WritePhysical(at, page) != page.Length)
                {
                    throw new BenchmarkException($"RAM at {at:x}h could not be written");
                }
            }
        }
    }

    private static string FileSystemOf(string directory)
    {
        try
        {
            return new DriveInfo(Path.GetDirectoryName(directory)!).DriveFormat;
        }
        catch (Exception e) when (e is IOException or ArgumentException)
        {
            return "unknown file system";
        }
    }
}
