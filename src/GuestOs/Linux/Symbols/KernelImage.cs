using Emulator;

namespace GuestOs.Linux.Symbols;

/// <summary>
/// All that a Linux guest's memory tells of its kernel: symbols, types, modules, tasks and stacks, found without a file and
/// without the guest's help. Each part is read when it is first asked for, from a machine that stands still. What is
/// damaged is told in <see cref="Problems"/>; the rest is there. Reads only, never throws on what the guest left; not
/// thread-safe.
/// </summary>
public sealed class KernelImage
{
    // With five levels of page tables the kernel's half begins here, with four much later; nothing lies between.
    internal const ulong KernelHalf = 0xFF00_0000_0000_0000;

    // Where a kernel's text is linked: the image's map, and CONFIG_PHYSICAL_START as everybody has it.
    private const ulong LinkedText = KernelMemory.ImageMap + 0x100_0000;

    private readonly IMachineView view;
    private readonly ProblemLog problems = new();
    private readonly KernelConstants constants;
    private readonly Lazy<IReadOnlyList<KernelModule>> modules;
    private readonly Lazy<CpuAreas?> cpus;
    private readonly Lazy<IReadOnlyList<KernelTask>> tasks;
    private readonly Lazy<int?> panicCpu;

    /// <summary>The image of a kernel in a machine that stands still.</summary>
    public KernelImage(IMachineView view, LinuxKernel kernel)
        : this(view, kernel, null)
    {
    }

    private KernelImage(IMachineView view, LinuxKernel kernel, KernelConstants? known)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(kernel);
        this.view = view;
        Kernel = kernel;
        constants = known ?? new KernelConstants(kernel);
        modules = new(() => Symbols is { } table ? ModuleList.Read(Memory, table, Types, Orc?.Layout, problems) : []);
        cpus = new(() => Symbols is { } table ? CpuAreas.Read(view, Memory, table, problems) : null);
        tasks = new(() => Symbols is { } table && cpus.Value is { } areas ? TaskList.Read(Memory, table, Types, areas, problems) : []);
        panicCpu = new(ReadPanicCpu);
    }

    /// <summary>The kernel.</summary>
    public LinuxKernel Kernel { get; }

    /// <summary>Its memory.</summary>
    public KernelMemory Memory => Kernel.Memory;

    /// <summary>What uname -r says.</summary>
    public string Release => Kernel.Info.Release;

    /// <summary>The build id in lower-case hexadecimal digits; null when the kernel does not tell it.</summary>
    public string? BuildId => constants.BuildId;

    /// <summary>KASLR: what was added to every link-time address. Null when not known.</summary>
    public ulong? KaslrOffset => Kernel.Info.KernelOffset ?? (Text.Start >= LinkedText ? Text.Start - LinkedText : null);

    /// <summary>Its symbols; null when they cannot be read.</summary>
    public SymbolTable? Symbols => constants.Symbols;

    /// <summary>Its types; null when it has none (CONFIG_DEBUG_INFO_BTF) or they cannot be read.</summary>
    public Btf? Types => constants.Types;

    /// <summary>The loaded modules, newest first.</summary>
    public IReadOnlyList<KernelModule> Modules => modules.Value;

    /// <summary>All tasks by number, each thread for itself; idle tasks, of number 0, first.</summary>
    public IReadOnlyList<KernelTask> Tasks => tasks.Value;

    /// <summary>The vCPU that runs panic(), by the kernel's own word; null when none does or it cannot be told.</summary>
    public int? PanicVcpu => panicCpu.Value is int cpu ? cpus.Value?.VcpuOf(cpu) : null;

    /// <summary>CPUs that have variables of their own.</summary>
    public int CpuCount => cpus.Value?.Count ?? 0;

    /// <summary>What was wrong, in words for a person; grows as more is read.</summary>
    public IReadOnlyList<string> Problems => view is DamagedView { Problem: { } damage }
        ? [damage, .. constants.Problems.Lines, .. problems.Lines]
        : [.. constants.Problems.Lines, .. problems.Lines];

    internal OrcTable? Orc => constants.Orc;

    internal ProblemLog ProblemLog => problems;

    /// <summary>The kernel that runs in a machine, or failing that what is left of one; null when there is none.</summary>
    /// <param name="view">The machine.</param>
    /// <param name="known">A VMCOREINFO that is probably this kernel's: then memory need not be searched for it.</param>
    public static KernelImage? Find(IMachineView view, string? known = null)
    {
        var readable = new DamagedView(view);
        return (LinuxKernel.Known(readable, known) ?? LinuxKernel.Find(readable)) is { } kernel ? new KernelImage(readable, kernel) : null;
    }

    /// <summary>The kernel that a dump's own VMCOREINFO describes: nothing is searched for.</summary>
    public static KernelImage Of(IMachineView view, VmCoreInfo info)
    {
        var readable = new DamagedView(view);
        return new KernelImage(readable, new LinuxKernel(new KernelMemory(readable, info), running: true));
    }

    /// <summary>
    /// The kernel after its machine ran on or was written to: symbols, types and unwinding tables are as they were, tasks
    /// and modules are read again. Null when it is not there any more.
    /// </summary>
    public KernelImage? Again() => Kernel.Again(view) is { } kernel ? new KernelImage(view, kernel, Symbols is null ? null : constants) : null;

    /// <summary>Where a CPU, by the kernel's number, has its copy of a per-CPU variable; false when there is no such CPU.</summary>
    public bool TryGetPerCpuAddress(int cpu, string variable, out ulong address)
    {
        address = 0;
        bool known = cpu >= 0 && cpu < CpuCount && Symbols!.TryGetAddress(variable, out address);
        address = known ? cpus.Value!.AddressOf(cpu, address) : 0;
        return known;
    }

    /// <summary>The kernel's number of a vCPU; null when it cannot be told.</summary>
    public int? CpuOf(int vcpu) => cpus.Value?.CpuOf(vcpu);

    /// <summary>The task that a vCPU is executing; null when it cannot be told.</summary>
    public KernelTask? TaskOn(int vcpu) => Tasks.FirstOrDefault(task => task.Vcpu == vcpu);

    /// <summary>The registers of a task: its vCPU's, or those it left on its stack. Null when there are none.</summary>
    public KernelRegisters? RegistersOf(KernelTask task)
    {
        ArgumentNullException.ThrowIfNull(task);
        return task.Vcpu is int vcpu ? new KernelRegisters(view.Vcpus[vcpu]) : task.Saved;
    }

    /// <summary>The stack of a vCPU, innermost frame first.</summary>
    public IReadOnlyList<StackFrame> Unwind(VcpuState vcpu) => Unwind(new KernelRegisters(vcpu));

    /// <summary>The stack of a task, innermost frame first; empty when its registers are not known.</summary>
    public IReadOnlyList<StackFrame> Unwind(KernelTask task) => RegistersOf(task) is { } registers ? Unwind(registers) : [];

    /// <summary>The stack from given registers on, innermost frame first.</summary>
    public IReadOnlyList<StackFrame> Unwind(KernelRegisters registers)
    {
        ArgumentNullException.ThrowIfNull(registers);
        return new Unwinder(this).Unwind(registers);
    }

    /// <summary>The function or variable that a kernel address lies in, of the kernel or a module.</summary>
    public bool TryFindSymbol(ulong address, out KernelSymbol symbol, out KernelModule? module)
    {
        symbol = default;
        module = null;
        if (address < KernelHalf)
        {
            return false;
        }

        module = ModuleAt(address);
        return module is not null
            ? module.Symbols is { } own && own.TryFind(address, out symbol) && module.Contains(symbol.Address)
            : InKernel(address) && Symbols!.TryFind(address, out symbol) && symbol.Address >= KernelHalf;
    }

    /// <summary>Makes the file that gives a debugger all of this; null when not even the symbols could be read.</summary>
    /// <param name="types">
    /// False leaves types and functions out: for a debugger that is to take them from the kernel's debug package, which gdb
    /// looks for, by build id, only where a file has none of its own.
    /// </param>
    public Elf.SymbolFile? CreateSymbolFile(bool types = true) => Elf.SymbolFileWriter.Write(this, types);

    /// <summary>
    /// Makes a small file for a gdb that is to use the kernel's debug package: the frames of the functions that go over to
    /// an interrupt's stack, where the package's own tables end a backtrace. gdb asks the file first that was loaded first:
    /// add-symbol-file this one, then the other. Null when the kernel has no ORC.
    /// </summary>
    public Elf.SymbolFile? CreateStackSwitchFile() => Elf.SymbolFileWriter.WriteStackSwitches(this);

    /// <summary>
    /// Functions that go over to an interrupt's stack, where the debug package's own frames end a backtrace: where they begin
    /// and end, ascending.
    /// </summary>
    public IReadOnlyList<(ulong Start, ulong End)> FindStackSwitches() => StackSwitches.Find(this);

    internal StackFrame Describe(ulong pc, ulong sp, bool interrupted)
    {
        // The place a call returns to may be the next function's beginning: after one that never returns.
        ulong at = interrupted ? pc : pc - 1;
        return TryFindSymbol(at, out KernelSymbol symbol, out KernelModule? module) && symbol.Name is { Length: > 0 }
            ? new StackFrame(pc, sp, interrupted, symbol.Name, pc - symbol.Address, module?.Name)
            : new StackFrame(pc, sp, interrupted, null, 0, module?.Name);
    }

    internal bool IsKernelAddress(ulong address) => address >= KernelHalf;

    internal bool TryFindRow(ulong pc, out OrcRow row)
    {
        row = default;
        OrcTable? table = pc < KernelHalf ? null : ModuleAt(pc) is { } module ? module.Orc : InText(pc) ? Orc : null;
        int index = table?.IndexOf(pc) ?? -1;
        if (index >= 0)
        {
            row = table![index];
        }

        return index >= 0;
    }

    /// <summary>The kernel's text and the text of its initialisation.</summary>
    internal (ulong Start, ulong End, ulong InitStart, ulong InitEnd) Text => constants.Text;

    private bool InText(ulong address) =>
        address - Text.Start < Text.End - Text.Start || address - Text.InitStart < Text.InitEnd - Text.InitStart;

    private bool InKernel(ulong address) =>
        Symbols is { Count: > 0 } table && Memory.IsImageAddress(address) && (!table.TryGetAddress("_end", out ulong end) || address < end);

    private KernelModule? ModuleAt(ulong address)
    {
        // Asked for every frame; the kernel itself is the usual answer and needs no list.
        if (InText(address))
        {
            return null;
        }

        foreach (KernelModule module in Modules)
        {
            if (module.Contains(address))
            {
                return module;
            }
        }

        return null;
    }

    // panic_cpu holds the number of the CPU that came first, or -1.
    private int? ReadPanicCpu() =>
        Symbols is { } table && table.TryGetAddress("panic_cpu", out ulong at) && Memory.TryRead(at, out uint cpu) && cpu < CpuAreas.MaxCpus ? (int)cpu : null;
}
