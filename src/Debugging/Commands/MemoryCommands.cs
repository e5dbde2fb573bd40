using System.Globalization;
using System.Text;
using Debugging.X86;
using Emulator;
using Emulator.Memory;

namespace Debugging.Commands;

/// <summary>Page tables and physical memory.</summary>
internal static class MemoryCommands
{
    /// <summary>Most bytes <c>phys</c> shows at a time.</summary>
    public const int MaxDump = 0x10000;

    /// <summary>Most lines <c>maps</c> shows at a time.</summary>
    public const int MaxLines = 400;

    /// <summary>Table entries <c>maps</c> looks at before it gives up: tables may lead in circles.</summary>
    private const int MaxEntries = 1 << 21;

    public static readonly MonitorCommand[] All =
    [
        new("phys", "ADDRESS LENGTH", "physical memory, in hexadecimal", Physical),
        new("walk", "ADDRESS", "how the page tables translate an address, entry by entry", Walk),
        new("maps", "[START [LAST]]", "what is mapped in the vCPU's address space, with rights and physical addresses", Maps),
    ];

    private static string Physical(MonitorContext context, string arguments)
    {
        if (!MonitorNumber.TryReadAll(context, arguments, out ulong[] numbers, out string? error) || numbers.Length != 2 || numbers[1] is 0 or > MaxDump)
        {
            return $"{error ?? $"usage: phys ADDRESS LENGTH, with a length of 1 to {MaxDump}"}\n";
        }

        byte[] bytes = new byte[(int)numbers[1]];
        int read = context.Inspect(view => view.ReadPhysical(numbers[0], bytes));
        string dump = MonitorText.Dump(numbers[0], bytes.AsSpan(0, read));
        return read == bytes.Length ? dump : dump + $"no RAM at 0x{numbers[0] + (ulong)read:x}\n";
    }

    private static string Walk(MonitorContext context, string argument)
    {
        if (!MonitorNumber.TryReadAll(context, argument, out ulong[] numbers, out string? error) || numbers.Length != 1)
        {
            return $"{error ?? "usage: walk ADDRESS"}\n";
        }

        ulong address = numbers[0];
        return context.Inspect(view =>
        {
            const ulong userTables = 0x1000;
            PagingRegisters registers = context.Paging(view);
            var text = new StringBuilder();
            bool mapped = Append(text, view, registers, address);
            if (!mapped && (long)address < 0 && (registers.Cr3 & userTables) != 0)
            {
                text.Append("these may be the tables of user mode under page table isolation; the kernel's, one page below:\n");
                Append(text, view, registers with { Cr3 = registers.Cr3 & ~userTables }, address);
            }

            return text.ToString();
        });
    }

    private static bool Append(StringBuilder text, IMachineView view, PagingRegisters registers, ulong address)
    {
        var space = new AddressSpace(view, registers);
        List<WalkStep> steps = [];
        MappedRange range = space.Find(address, steps);
        text.Append(CultureInfo.InvariantCulture, $"0x{address:x}: {space.Kind}, cr3 0x{registers.Cr3:x}\n");
        foreach (WalkStep step in steps)
        {
            text.Append(CultureInfo.InvariantCulture, $"  {step.Table,-4}[{step.Index,3}] at 0x{step.Address:x} = 0x{step.Entry:x16} {EntryWords(step)}\n");
        }

        if (!range.Mapped)
        {
            bool canonical = steps.Count > 0 || range.Start == 0;
            text.Append(CultureInfo.InvariantCulture, $"{(canonical ? "not mapped" : "not an address of this space")}, as everything from 0x{range.Start:x} to 0x{range.Last:x}\n");
            return false;
        }

        ulong size = range.Last - range.Start + 1;
        ulong physical = range.Physical + (address - range.Start);
        string backing = view.ReadPhysical(physical, new byte[1]) == 1 ? "RAM" : "not RAM";
        text.Append(CultureInfo.InvariantCulture, $"{range.Rights}, {SizeWords(size)} page, physical 0x{physical:x} ({backing})\n");
        return true;
    }

    private static string Maps(MonitorContext context, string arguments)
    {
        if (!MonitorNumber.TryReadAll(context, arguments, out ulong[] numbers, out string? error) || numbers.Length > 2)
        {
            return $"{error ?? "usage: maps [START [LAST]]"}\n";
        }

        return context.Inspect(view =>
        {
            var space = new AddressSpace(view, context.Paging(view));
            ulong at = numbers.Length > 0 ? numbers[0] : 0;
            ulong last = Math.Min(numbers.Length > 1 ? numbers[1] : ulong.MaxValue, space.LastAddress);
            var text = new StringBuilder();
            int lines = 0, entries = 0;
            while (at <= last)
            {
                MappedRange range = space.Find(at);
                entries++;
                while (range.Last < last && entries < MaxEntries && space.Extend(range, 1) is var longer && longer.Last != range.Last)
                {
                    range = longer;
                    entries++;
                }

                if (range.Mapped)
                {
                    ulong size = range.Last - range.Start + 1;
                    string physical = range.Contiguous ? $"0x{range.Physical:x}" : $"0x{range.Physical:x}, then elsewhere";
                    text.Append(CultureInfo.InvariantCulture, $"{range.Start:x16}-{range.Last:x16} {range.Rights,-10} {SizeWords(size),10} {physical}\n");
                    lines++;
                }

                if (range.Last >= last)
                {
                    break;
                }

                at = range.Last + 1;
                if (lines == MaxLines || entries >= MaxEntries)
                {
                    text.Append(CultureInfo.InvariantCulture, $"there is more: 'monitor maps 0x{at:x}'\n");
                    break;
                }
            }

            return lines == 0 ? "nothing is mapped there\n" : text.ToString();
        });
    }

    private static string EntryWords(WalkStep step)
    {
        if ((step.Entry & 1) == 0)
        {
            return "not present";
        }

        List<string> words = ["present", (step.Entry & 2) != 0 ? "writable" : "read-only", (step.Entry & 4) != 0 ? "user" : "kernel"];
        (int Bit, string Word)[] others = [(3, "write-through"), (4, "uncached"), (5, "accessed"), (6, "dirty"), (8, "global"), (63, "no-execute")];
        words.AddRange(others.Where(one => (step.Entry >> one.Bit & 1) != 0 && (step.Leaf || one.Bit is not (6 or 8))).Select(one => one.Word));
        if (step.Leaf && step.Table != "PT")
        {
            words.Add("large");
        }

        return string.Join(' ', words);
    }

    private static string SizeWords(ulong bytes) => bytes switch
    {
        0 => "all",
        >= 1UL << 30 when bytes % (1UL << 30) == 0 => $"{bytes >> 30} GiB",
        >= 1UL << 20 when bytes % (1UL << 20) == 0 => $"{bytes >> 20} MiB",
        _ => $"{bytes >> 10} KiB",
    };
}
