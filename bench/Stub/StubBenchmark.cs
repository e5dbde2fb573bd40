using Bench.Processes;

namespace Bench.Stub;

/// <summary>
/// The debug server beside QEMU's, over TCP on the loopback interface: what a raw client and gdb get from each on the same little guest, the same
/// memory and the same Debian. Ours runs in this process, QEMU in its own.
/// </summary>
internal static class StubBenchmark
{
    /// <summary>What <see cref="Arguments.Parse"/> lets pass.</summary>
    public static readonly string[] Options = ["--runs", "--only", "--gdb", "--guest"];

    /// <summary>Runs and prints; 0 when what must be reached is.</summary>
    public static int Run(Arguments arguments)
    {
        int runs = arguments.Number("--runs", 3, 1, 100);
        Report.PrintHost();
        string directory = Directory.CreateTempSubdirectory("gdbstub-bench-").FullName;
        try
        {
            string? qemu = Contender.QemuVersion();
            Gdb? gdb = Gdb.Find(arguments.Text("--gdb") ?? "gdb", directory);
            DebianFiles? debian = DebianFiles.Find(arguments.Text("--guest"));
            Console.WriteLine(qemu ?? "QEMU is not there: only our own figures");
            Console.WriteLine(gdb?.Version ?? "there is no gdb: only what a raw client measures");
            Console.WriteLine(debian is null ? "there is no Debian guest: nothing of a real kernel" : "Debian's kernel is the guest where one is named");
            IReadOnlyList<string> names = arguments.Selection("--only", [.. StubWork.All.Select(work => work.Name)]);
            KernelMemory? kernel = debian is null ? null : KernelMemory.Take(debian, SmallGuest.MemoryBytes);
            SmallGuest guest = SmallGuest.Make(kernel);
            using var ours = new OurServer(guest, directory);
            using QemuServer? rival = qemu is null ? null : new QemuServer(guest, directory);
            List<string[]> rows = [["work, medians", "ours", "QEMU", "ours / QEMU", "must", ""]];
            bool reached = true;
            foreach (StubWork work in StubWork.All.Where(work => names.Contains(work.Name)))
            {
                if ((gdb is not null || !work.NeedsGdb) && (kernel is not null || !work.NeedsDebian))
                {
                    var context = new StubWork.Context(directory, gdb!, debian!, kernel!);
                    reached &= Measure(work, context, ours, rival, runs, rows);
                }
            }

            Console.WriteLine();
            Report.PrintTable(rows);
            return reached ? 0 : 1;
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static bool Measure(StubWork work, StubWork.Context context, IServer ours, IServer? rival, int runs, List<string[]> rows)
    {
        // Once for nothing: ours is compiled while it runs here, and ahead of time in the program people run.
        work.Measure(context, ours, true);
        List<double> mine = [], other = [];
        for (int run = 0; run < runs; run++)
        {
            mine.Add(work.Measure(context, ours, true));
            if (rival is not null)
            {
                other.Add(work.Measure(context, rival, false));
            }
        }

        double our = Report.Median(mine);
        double? their = rival is null ? null : Report.Median(other);
        bool? reached = work.Must?.IsReached(our, their);
        string judgement = reached switch { true => "reached", false => "not reached", null => "" };
        string[] row =
        [
            work.Title, Report.Number(our, work.Decimals), their is { } value ? Report.Number(value, work.Decimals) : "-",
            their is { } divisor ? Report.Number(our / divisor, 3) : "-", work.Must?.Words ?? "", judgement,
        ];
        Console.WriteLine($"{row[0]}: {row[1]}{(their is null ? "" : $", QEMU {row[2]}")}");
        rows.Add(row);
        return reached ?? true;
    }
}
