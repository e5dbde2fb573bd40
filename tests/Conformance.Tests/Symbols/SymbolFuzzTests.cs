using Debugging;
using Debugging.Kernels;
using Debugging.Tests;
using Emulator;
using Emulator.Memory;
using GdbStub.Targets;
using GuestOs.Linux;
using GuestOs.Linux.Symbols;
using GuestOs.Linux.Symbols.Elf;

namespace Conformance.Tests.Symbols;

/// <summary>
/// A real image, spoiled in the pages its symbols, types, modules, tasks and stacks live in: an answer comes, it stays
/// small, and it says what was wrong.
/// </summary>
public sealed class SymbolFuzzTests(DebianRuns runs)
{
    private const int Cases = 60;

    [Fact]
    public async Task A_spoiled_image_is_read_as_far_as_it_goes()
    {
        int debugged = 5;
        var view = new SpoiledView(runs.Crash.Guest.Machine);
        LinuxKernel kernel = LinuxKernel.Find(view)!;
        var whole = new KernelImage(view, kernel);
        ulong[][] pages =
        [
            view.PagesReadBy(() => _ = whole.Symbols),
            view.PagesReadBy(() => _ = whole.Types),
            view.PagesReadBy(() => _ = whole.Modules),
            view.PagesReadBy(() => _ = whole.Tasks),
            view.PagesReadBy(() => whole.Tasks.ToList().ForEach(task => whole.Unwind(task))),
        ];
        Assert.All(pages, some => Assert.NotEmpty(some));
        ulong[] pointers = [.. whole.Tasks.Select(task => task.Address)];
        int withTasks = 0, told = 0;
        for (int seed = 0; seed < Cases; seed++)
        {
            var random = new Random(seed);
            view.Restore();
            int spoils = 1 << random.Next(10);
            for (int i = 0; i < spoils; i++)
            {
                ulong[] some = pages[random.Next(pages.Length)];
                Spoil(random, view.Page(some[random.Next(some.Length)]), pointers);
            }

            var image = new KernelImage(view, kernel);
            int frames = image.Tasks.Take(500).Sum(task => image.Unwind(task).Count);
            long length = image.CreateSymbolFile()?.Length ?? 0;
            Assert.InRange(length, 0, 1L << 28);
            Assert.InRange(frames, 0, 500 * 1024);
            Assert.InRange(image.Problems.Count, 0, 64);
            Assert.All(image.Problems, line => Assert.DoesNotContain(line, char.IsControl));
            LookAsADebuggerDoes(view);
            if (spoils > 32 && debugged-- > 0 && image.CreateSymbolFile() is { } file)
            {
                await GdbReadsAsync(file);
            }

            withTasks += image.Tasks.Count > 1 ? 1 : 0;
            told += image.Problems.Count > 0 ? 1 : 0;
        }

        // Neither is all lost each time nor is nothing ever hit.
        Assert.InRange(withTasks, Cases / 10, Cases - 1);
        Assert.InRange(told, Cases / 3, Cases);
    }

    // All that a connection may ask for: an answer comes, and it is not an exception.
    private static void LookAsADebuggerDoes(SpoiledView view)
    {
        var provider = new ImageTargetProvider(() => view, new DebugOptions { Kernels = new KernelSymbols() });
        Assert.True(provider.TryOpen(new NoEvents(), out IDebugTarget? target, out string? refusal), refusal);
        using IDebugTarget opened = target;
        byte[] value = new byte[16], memory = new byte[256];
        IReadOnlyList<TargetThread> threads = opened.Threads;
        Assert.Equal(threads.Count, threads.Select(thread => thread.Id).Distinct().Count());
        Assert.Contains(threads, thread => thread.Id == opened.CurrentStop.Thread);
        foreach (TargetThread thread in threads.Take(200))
        {
            Assert.DoesNotContain(thread.Name + thread.State, char.IsControl);
            foreach (RegisterInfo register in opened.Description.Registers)
            {
                if (opened.TryReadRegister(thread.Id, register.Number, value.AsSpan(0, register.Size)) && register.Size == 8)
                {
                    opened.ReadMemory(thread.Id, BitConverter.ToUInt64(value), memory);
                }
            }
        }

        _ = opened.Files!.Executable;
        foreach (string command in (string[])["ps", "bt all", "modules", "symbols", "where"])
        {
            Assert.InRange(opened.Monitor!.Execute(1, command).Length, 1, 1 << 26);
        }
    }

    private static async Task GdbReadsAsync(SymbolFile file)
    {
        GdbProcess.Require();
        string path = Path.GetTempFileName();
        try
        {
            using (FileStream stream = File.Create(path))
            {
                file.WriteTo(stream);
            }

            string output = await GdbProcess.StartAsync(
                "gdb", ["-nx", "-batch", path, "-ex", "info line schedule", "-ex", "ptype struct task_struct", "-ex", "info types -q task", "-ex", "info functions -q vfs_", "-ex", "p 4000 + 2"]);
            Assert.Contains("= 4002", output, StringComparison.Ordinal);
            Assert.DoesNotContain("internal-error", output, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private sealed class NoEvents : ITargetEvents
    {
        public void Stopped(StopReport report)
        {
        }
    }

    private static void Spoil(Random random, byte[] page, ulong[] pointers)
    {
        int at = random.Next(GuestMemory.PageSize / 8) * 8;
        switch (random.Next(7))
        {
            case 0:
                page[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1:
                BitConverter.TryWriteBytes(page.AsSpan(at), pointers[random.Next(pointers.Length)] + (ulong)random.Next(4096));
                break;
            case 2:
                page.AsSpan(at, 8).Fill(0xFF);
                break;
            case 3:
                page.AsSpan(at, Math.Min(page.Length - at, random.Next(1, 500))).Clear();
                break;
            case 4:
                random.NextBytes(page.AsSpan(at, Math.Min(page.Length - at, random.Next(1, 64))));
                break;
            case 5:
                BitConverter.TryWriteBytes(page.AsSpan(at), random.Next(100_000));
                break;
            default:
                page.AsSpan(random.Next(GuestMemory.PageSize / 8) * 8, 8).CopyTo(page.AsSpan(at));
                break;
        }
    }

    private sealed class SpoiledView(IMachineView below) : IMachineView
    {
        private readonly Dictionary<ulong, byte[]> pages = [];
        private HashSet<ulong>? read;

        public IReadOnlyList<PhysicalRange> Ram => below.Ram;

        public IReadOnlyList<VcpuState> Vcpus { get; } = below.Vcpus;

        public int CurrentVcpu => below.CurrentVcpu;

        public ulong InstructionCount => below.InstructionCount;

        public MachineExit? StopCause => below.StopCause;

        public int ReadPhysical(ulong address, Span<byte> destination)
        {
            int done = 0;
            while (done < destination.Length)
            {
                ulong at = address + (ulong)done;
                Span<byte> part = destination.Slice(done, Math.Min(destination.Length - done, GuestMemory.PageSize - (int)(at % GuestMemory.PageSize)));
                read?.Add(at / GuestMemory.PageSize);
                int count = part.Length;
                if (pages.TryGetValue(at / GuestMemory.PageSize, out byte[]? page))
                {
                    page.AsSpan((int)(at % GuestMemory.PageSize), count).CopyTo(part);
                }
                else
                {
                    count = below.ReadPhysical(at, part);
                }

                done += count;
                if (count < part.Length)
                {
                    break;
                }
            }

            return done;
        }

        public bool IsUntouched(ulong address) => below.IsUntouched(address);

        public void Restore() => pages.Clear();

        public byte[] Page(ulong number)
        {
            if (!pages.TryGetValue(number, out byte[]? page))
            {
                page = new byte[GuestMemory.PageSize];
                below.ReadPhysical(number * GuestMemory.PageSize, page);
                pages.Add(number, page);
            }

            return page;
        }

        public ulong[] PagesReadBy(Action action)
        {
            read = [];
            action();
            ulong[] some = [.. read.Where(page => below.ReadPhysical(page * GuestMemory.PageSize, new byte[1]) == 1)];
            read = null;
            return some;
        }
    }
}
