using Bench.Comparison;
using Bench.Processes;
using Bench.Stress;
using Emulator;
using Emulator.Memory;
using Guests;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Bench;

/// <summary>
/// How much memory the process of a machine of 256 MiB takes whose guest touched 100 MiB of it: with a guest that does
/// nothing else, and with Debian's kernel, of which much more is translated.
/// </summary>
internal static class MemoryBenchmark
{
    private const int TouchedMiB = 100, LimitMiB = 250;

    /// <summary>What <see cref="Arguments.Parse"/> lets pass.</summary>
    public static readonly string[] Options = ["--guest", "--programs", "--product", "--engine", "--timeout"];

    /// <summary>Runs and prints. 0 when each process stayed within the limit.</summary>
    public static int Run(Arguments arguments)
    {
        Engine engine = arguments.Choice("--engine", Engine.Translator);
        TimeSpan patience = TimeSpan.FromSeconds(arguments.Number("--timeout", 120, 1, 3600));
        string directory = Directory.CreateTempSubdirectory("gdbstub-bench-").FullName;
        List<Contender> contenders = [Contender.Ours(engine)];
        if (arguments.Text("--product") is { } product)
        {
            contenders.Add(Contender.Product(product, engine, Path.Combine(directory, "store")));
        }

        if (Contender.QemuVersion() is not null)
        {
            contenders.Add(Contender.Tcg());
        }

        Report.PrintHost();
        Console.WriteLine($"a machine of {GuestImage.UsualMemoryMiB} MiB whose guest touched {TouchedMiB} MiB; engine: {engine}");
        List<string[]> rows = [["process", "guest", "pages in use MiB", "resident MiB", "most MiB", "beyond the guest's MiB", ""]];
        List<string> problems = [];
        try
        {
            Guest toucher = Toucher();
            string kernel = Path.Combine(directory, "toucher");
            File.WriteAllBytes(kernel, toucher.Image);
            GuestImage bare = new() { Kernel = kernel, ExitCode = toucher.ExitCode!.Value };
            GuestImage debian = new DebianGuest(arguments.Required("--guest")).ThatRuns(
                $"/bench/measure touch:{TouchedMiB} /bench/touch {TouchedMiB}\n", arguments.Required("--programs"), Path.Combine(directory, "initrd"));
            foreach ((string name, GuestImage image) in ((string, GuestImage)[])[("bare", bare), ("Debian", debian)])
            {
                MachineFigures? ours = null;
                foreach (Contender contender in contenders)
                {
                    GuestRun run = GuestRun.Of(contender, image, patience);
                    Mark? end = run.Marks.FirstOrDefault(mark => !mark.Begins && mark.Status == 0);
                    if (run.Problem != "" || end is null)
                    {
                        problems.Add($"{contender.Name}, {name}: {(run.Problem != "" ? run.Problem : "it never said that memory was touched")}");
                        continue;
                    }

                    // What the product's machine uses is what ours does: it is the same machine.
                    ours ??= end.Machine;
                    bool isOurs = contender.Name != Contender.TcgName;
                    double pages = (ours?.Pages ?? 0) * (double)GuestMemory.PageSize / (1 << 20), resident = end.Process.ResidentBytes / (double)(1 << 20);
                    bool within = resident - pages + TouchedMiB < LimitMiB;
                    rows.Add(
                    [
                        contender.Name, name, isOurs ? Report.Number(pages, 0) : "-", Report.Number(resident, 0),
                        end.Process.PeakBytes == 0 ? "-" : Report.Number(end.Process.PeakBytes / (double)(1 << 20), 0),
                        isOurs ? Report.Number(resident - pages, 0) : "-", !isOurs ? "" : within ? "within" : "BEYOND",
                    ]);
                    if (isOurs && !within)
                    {
                        problems.Add($"{contender.Name}, {name}: beyond the limit");
                    }
                }
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }

        Console.WriteLine();
        Report.PrintTable(rows);
        Console.WriteLine($"  the limit: {TouchedMiB} MiB and what the process takes beyond the guest's pages stay under {LimitMiB} MiB");
        problems.ForEach(problem => Console.Error.WriteLine($"bench: {problem}"));
        return problems.Count == 0 ? 0 : 1;
    }

    // A word in each page.
    private static Guest Toucher()
    {
        var guest = new StressGuest("touch", "page");
        guest.Add(new Stage("touch", TouchedMiB, TouchedMiB << 8), a =>
        {
            Label next = a.CreateLabel();
            a.mov(ecx, TouchedMiB << 8);
            a.mov(edi, StressGuest.FreeMemory);
            a.Label(ref next);
            a.mov(__qword_ptr[rdi], rdi);
            a.add(rdi, GuestMemory.PageSize);
            a.dec(ecx);
            a.jnz(next);
        });
        return guest.ToGuest();
    }
}
