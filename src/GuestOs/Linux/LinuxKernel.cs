using System.Text;
using Emulator;
using Emulator.Memory;

namespace GuestOs.Linux;

/// <summary>
/// A Linux kernel found in a guest's memory. <see cref="Running"/> tells the one that runs from what an earlier boot
/// left behind: only of the former may one believe that its log is about now.
/// </summary>
public sealed class LinuxKernel
{
    private const uint SystemCallTarget = 0xC000_0082;
    private PrintkLog? log;
    private string? whyNoLog;

    internal LinuxKernel(KernelMemory memory, bool running)
    {
        Memory = memory;
        Running = running;
    }

    /// <summary>What it says of itself.</summary>
    public VmCoreInfo Info => Memory.Info;

    /// <summary>Its memory.</summary>
    public KernelMemory Memory { get; }

    /// <summary>A vCPU vouches for it: its address space maps this kernel's text where this kernel says it is.</summary>
    public bool Running { get; }

    /// <summary>Its log; null when it cannot be read, for the reason in <see cref="WhyNoLog"/>.</summary>
    public PrintkLog? Log
    {
        get
        {
            if (log is null && whyNoLog is null)
            {
                PrintkLog.TryRead(Memory, out log, out whyNoLog);
            }

            return log;
        }
    }

    /// <summary>Why <see cref="Log"/> is null.</summary>
    public string? WhyNoLog => Log is null ? whyNoLog : null;

    /// <summary>The kernel that runs; failing that, what looks most whole of one that did; null when there is none.</summary>
    public static LinuxKernel? Find(IMachineView view)
    {
        LinuxKernel? best = null;
        foreach (LinuxKernel kernel in FindAll(view))
        {
            if (kernel.Running)
            {
                return kernel;
            }

            best ??= kernel.MapsItself(view) ? kernel : null;
        }

        return EarlyKernel.Find(view) ?? best;
    }

    /// <summary>The kernel that runs, or null.</summary>
    /// <param name="view">The machine.</param>
    /// <param name="known">A VMCOREINFO that is probably this kernel's: then memory need not be searched for it.</param>
    public static LinuxKernel? FindRunning(IMachineView view, string? known = null) => Known(view, known) ?? FindAll(view).FirstOrDefault(kernel => kernel.Running) ?? EarlyKernel.Find(view);

    /// <summary>The kernel that a VMCOREINFO known from elsewhere describes, if it is the one that runs here; nothing is searched for.</summary>
    internal static LinuxKernel? Known(IMachineView view, string? vmcoreinfo)
    {
        ArgumentNullException.ThrowIfNull(view);
        if (vmcoreinfo is null || !VmCoreInfo.TryParse(Encoding.Latin1.GetBytes(vmcoreinfo), physicalAddress: 0, out VmCoreInfo? info))
        {
            return null;
        }

        var memory = new KernelMemory(view, info);
        return view.Vcpus.Any(vcpu => Vouches(view, vcpu, memory)) ? new LinuxKernel(memory, running: true) : null;
    }

    /// <summary>Every kernel whose VMCOREINFO is in RAM, running or not, in the order of <see cref="VmCoreInfo.FindAll"/>.</summary>
    public static IEnumerable<LinuxKernel> FindAll(IMachineView view)
    {
        ArgumentNullException.ThrowIfNull(view);
        foreach (VmCoreInfo info in VmCoreInfo.FindAll(view))
        {
            var memory = new KernelMemory(view, info);
            yield return new LinuxKernel(memory, view.Vcpus.Any(vcpu => Vouches(view, vcpu, memory)));
        }
    }

    /// <summary>
    /// The same kernel in the same machine after that ran on or was written to; null when it is not there any more, or no
    /// longer runs.
    /// </summary>
    internal LinuxKernel? Again(IMachineView view)
    {
        // What came from elsewhere, a dump's note, has no place in memory to be looked at.
        if (Info.PhysicalAddress != 0)
        {
            Span<byte> text = stackalloc byte[VmCoreInfo.MaxTextBytes];
            ReadOnlySpan<byte> known = Info.Text.Span;
            if (view.ReadPhysical(Info.PhysicalAddress, text[..known.Length]) < known.Length || !text[..known.Length].SequenceEqual(known))
            {
                return null;
            }
        }

        bool running = view.Vcpus.Any(vcpu => Vouches(view, vcpu, Memory));
        return Info.IsReconstructed || (Running && !running) ? null : new LinuxKernel(Memory, running);
    }

    /// <summary>Guest-physical address of the kernel's first instruction; false when it does not say.</summary>
    public bool TryGetPhysicalStart(out ulong physical)
    {
        physical = 0;
        return Info.TryGetSymbol("_stext", out ulong text) && Memory.TryTranslateImage(text, out physical);
    }

    private static bool Vouches(IMachineView view, VcpuState vcpu, KernelMemory memory)
    {
        if (!memory.Info.TryGetSymbol("_stext", out ulong text))
        {
            return false;
        }

        // Kernels before 4.10 do not say phys_base; then a page that the vCPU maps there is all there is to ask for.
        bool linear = memory.TryTranslateImage(text, out ulong physical);
        PagingRegisters registers = PagingRegisters.Of(vcpu);
        bool paging = (vcpu.Cr0 & 0x8000_0000) != 0 && (vcpu.Efer & 0x400) != 0;
        if (paging && PageWalker.TryTranslate(view, registers, text, out PageTranslation mapped))
        {
            return !linear || mapped.Physical == physical;
        }

        // With page table isolation a vCPU in user mode maps only the entry code, and a reset may come from real mode:
        // where SYSCALL would land still tells whose CPU it is.
        if (!linear || !vcpu.Msrs.TryGetValue(SystemCallTarget, out ulong entry) || entry < text || !memory.TryTranslateImage(entry, out ulong expected))
        {
            return false;
        }

        return paging
            ? PageWalker.TryTranslate(view, registers, entry, out mapped) && mapped.Physical == expected
            : memory.Tables is { } tables && PageWalker.TryTranslate(view, tables, entry, out mapped) && mapped.Physical == expected;
    }

    private bool MapsItself(IMachineView view) =>
        Memory.Tables is { } tables && Info.TryGetSymbol("_stext", out ulong text) && Memory.TryTranslateImage(text, out ulong physical)
        && PageWalker.TryTranslate(view, tables, text, out PageTranslation mapped) && mapped.Physical == physical;
}
