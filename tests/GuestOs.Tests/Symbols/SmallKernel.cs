using System.Text;
using GuestOs.Linux.Symbols;

namespace GuestOs.Tests.Symbols;

/// <summary>
/// A kernel of a handful of functions, tasks and modules, with everything in RAM that the readers look for: kallsyms, BTF,
/// ORC of 6.1, run queues, lists. Its structures are its own; only BTF tells where their members are.
/// </summary>
internal sealed class SmallKernel
{
    public const ulong TextBytes = 0x1_0000;
    public const ulong NextAt = 16, ThreadNodeAt = 32, SignalAt = 48, StackAt = 72, ModuleListAt = 8;
    public const ulong RunQueue = 0x100;

    private readonly List<(ulong Place, string Entry)> rows = [];
    private readonly List<ulong> tasks = [];
    private readonly List<ulong> modules = [];
    private readonly KallsymsWriter symbols = new(AddressEncoding.AbsolutePerCpu);

    public SmallKernel()
    {
        Kernel = new SyntheticKernel(Image);
        InitTask = AddTask(0, 0, "swapper/0", 0, leader: null);
    }

    public GuestImage Image { get; } = new();

    public SyntheticKernel Kernel { get; }

    public ulong Text => Kernel.Text;

    public ulong InitTask { get; }

    public ulong Modules => Text + 0x1A0_0000;

    public ulong CpuArea => Text + 0x1B0_0000;

    /// <summary>A place to keep stacks and such.</summary>
    public ulong Data => Text + 0x190_0000;

    public SmallKernel Function(ulong offset, string name, params (ulong Offset, string Entry)[] orc)
    {
        symbols.Add(Text + offset, 't', name);
        rows.AddRange(orc.Select(row => (Text + offset + row.Offset, row.Entry)));
        return this;
    }

    /// <summary>A task at the end of the list of processes, or of its leader's threads.</summary>
    public ulong AddTask(int pid, int group, string name, uint state, ulong? leader)
    {
        ulong at = Text + 0x180_0000 + ((ulong)tasks.Count * 0x1000);
        ulong signal = leader is ulong first ? Read(first + SignalAt) : at + 0x800;
        Write32(at, state);
        Write32(at + 4, pid < 100 ? 0x20_0000u : 0);
        Write32(at + 8, (uint)pid);
        Write32(at + 12, (uint)group);

        // on_rq, right behind on_cpu: both are of one byte since 7.0.
        Image.Write(Kernel.Physical(at + 101), [1]);
        Write(at + SignalAt, signal);
        Image.Write(Kernel.Physical(at + 56), Encoding.ASCII.GetBytes(name));
        if (leader is ulong process)
        {
            Insert(at + ThreadNodeAt, Read(process + SignalAt));
        }
        else
        {
            Write(signal, signal);
            Write(signal + 8, signal);
            Insert(at + ThreadNodeAt, signal);
            if (tasks.Count == 0)
            {
                Write(at + NextAt, at + NextAt);
                Write(at + NextAt + 8, at + NextAt);
            }
            else
            {
                Insert(at + NextAt, InitTask + NextAt);
            }
        }

        tasks.Add(at);
        return at;
    }

    public ulong AddModule(string name, ulong text, uint textBytes)
    {
        ulong at = Modules + 0x1000 + ((ulong)modules.Count * 0x1000);
        Image.Write(Kernel.Physical(at + 24), Encoding.ASCII.GetBytes(name));
        Write(at + 88, text);
        Write32(at + 96, textBytes + 0x1000);
        Write32(at + 100, textBytes);
        modules.Add(at);
        if (modules.Count == 1)
        {
            Write(Modules, Modules);
            Write(Modules + 8, Modules);
        }

        Insert(at + ModuleListAt, Modules);
        return at;
    }

    public void Write(ulong address, ulong value) => Image.Write64(Kernel.Physical(address), value);

    public void Write32(ulong address, uint value) => Image.Write32(Kernel.Physical(address), value);

    public ulong Read(ulong address)
    {
        Span<byte> bytes = stackalloc byte[8];
        Image.ReadPhysical(Kernel.Physical(address), bytes);
        return BitConverter.ToUInt64(bytes);
    }

    /// <summary>The kernel in RAM, found again; <paramref name="early"/> before it has written a VMCOREINFO.</summary>
    public KernelImage Build(ulong running = 0, bool early = false)
    {
        const string Banner = "Linux version " + SyntheticKernel.Release + " (gcc) #1 SMP";
        Image.Write(Kernel.Physical(Text + 0x1B8_3000), Encoding.ASCII.GetBytes(Banner));
        byte[] notes = [4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, .. "GNU\0"u8, .. Convert.FromHexString(SyntheticKernel.BuildId)];
        Image.Write(Kernel.Physical(Text + 0x1B8_4000), notes);
        if (modules.Count == 0)
        {
            Write(Modules, Modules);
        }

        byte[] types = Types();
        ulong btf = Text + 0x110_0000, places = Text + 0x120_0000, entries = Text + 0x121_0000;
        Image.Write(Kernel.Physical(btf), types);
        rows.Sort((a, b) => a.Place.CompareTo(b.Place));
        for (int i = 0; i < rows.Count; i++)
        {
            Write32(places + ((ulong)i * 4), (uint)(rows[i].Place - (places + ((ulong)i * 4))));
            Image.Write(Kernel.Physical(entries + ((ulong)i * 6)), Convert.FromHexString(rows[i].Entry));
        }

        Write(Text + 0x1B8_0000, CpuArea);
        Write32(Text + 0x1B8_1000, 1);
        Write32(Text + 0x1B8_2000, 0);
        Write(CpuArea + RunQueue, running == 0 ? InitTask : running);
        Write(CpuArea + RunQueue + 8, InitTask);
        foreach ((ulong address, char type, string name) in new (ulong, char, string)[]
        {
            (RunQueue, 'd', "runqueues"), (Text, 'T', "_stext"), (Text + TextBytes, 'T', "_etext"), (btf, 'R', "__start_BTF"), (btf + (ulong)types.Length, 'R', "__stop_BTF"),
            (places, 'R', "__start_orc_unwind_ip"), (places + ((ulong)rows.Count * 4), 'R', "__stop_orc_unwind_ip"), (entries, 'R', "__start_orc_unwind"),
            (entries + ((ulong)rows.Count * 6), 'R', "__stop_orc_unwind"), (InitTask, 'D', "init_task"), (Modules, 'd', "modules"),
            (Text + 0x1B8_0000, 'D', "__per_cpu_offset"), (Text + 0x1B8_1000, 'D', "nr_cpu_ids"), (Text + 0x1B8_2000, 'D', "panic_cpu"),
            (Text + 0x1B8_3000, 'D', "linux_banner"), (Text + 0x1B8_4000, 'R', "__start_notes"), (Text + 0x1B8_4000 + (ulong)notes.Length, 'R', "__stop_notes"),
            (Text + 0x1C0_0000, 'T', "_sinittext"), (Text + 0x1C0_1000, 'T', "_einittext"), (Text + 0x1F0_0000, 'B', "_end"),
        })
        {
            symbols.Add(address, type, name);
        }

        symbols.WriteTo(Kernel, Image, Text + 0x100_0000);
        if (early)
        {
            Kernel.WithEarlyLog((0, 5, Banner), (0, 0, "Kernel panic - not syncing: x"));
        }
        else
        {
            Kernel.WithVmCoreInfo(Kernel.VmCoreInfoText(Kernel.RingVmCoreInfo() + symbols.VmCoreInfoLines));
        }

        Image.Cpus.Add(GuestImage.LongMode(Kernel.Cr3, Text));
        KernelImage? found = KernelImage.Find(Image);
        Assert.NotNull(found);
        return found;
    }

    private static byte[] Types()
    {
        var btf = new BtfWriter();
        int u32 = btf.Int("unsigned int", 4), pointer = btf.Pointer(0), letter = btf.Int("char", 1, 1);
        int list = btf.Struct("list_head", 16, ("next", pointer, 0), ("prev", pointer, 64));
        int thread = btf.Struct("thread_struct", 8, ("sp", pointer, 0));
        btf.Struct("mm_struct", 8, ("pgd", pointer, 0));
        btf.Struct("rq", 16, ("curr", pointer, 0), ("idle", pointer, 64));
        btf.Struct(
            "task_struct", 0x100, ("__state", u32, 0), ("flags", u32, 32), ("pid", u32, 64), ("tgid", u32, 96), ("tasks", list, 128), ("thread_node", list, 256),
            ("signal", pointer, 384), ("comm", btf.Array(letter, 16), 448), ("thread", thread, 576), ("mm", pointer, 640), ("exit_state", u32, 704), ("cpu", u32, 736),
            ("on_cpu", letter, 800), ("on_rq", letter, 808));
        int layout = btf.Struct("module_layout", 16, ("base", pointer, 0), ("size", u32, 64), ("text_size", u32, 96));
        btf.Struct("mod_kallsyms", 32, ("symtab", pointer, 0), ("num_symtab", u32, 64), ("strtab", pointer, 128), ("typetab", pointer, 192));
        btf.Struct("module", 128, ("state", u32, 0), ("list", list, 64), ("name", btf.Array(letter, 56), 192), ("kallsyms", pointer, 640), ("core_layout", layout, 704));
        return btf.Build();
    }

    // At the end of a list: the head's prev.
    private void Insert(ulong link, ulong head)
    {
        ulong last = Read(head + 8);
        Write(last, link);
        Write(link, head);
        Write(link + 8, last);
        Write(head + 8, link);
    }
}
