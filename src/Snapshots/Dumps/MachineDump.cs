using System.Globalization;
using Emulator;
using Emulator.Memory;

namespace Snapshots.Dumps;

/// <summary>A foreign dump as a machine that stands still. Pages are read when they are asked for. Any thread may call; one at a time is served.</summary>
internal sealed class MachineDump : IMachineImage
{
    private const int PageSize = GuestMemory.PageSize;
    private const int CachedPages = 1024;
    private const ulong KernelMap = 0xFFFF_FFFF_8000_0000;
    private const ulong Linear57 = 1 << 12;

    private readonly IPageSource pages;
    private readonly Lock gate = new();
    private readonly (long Frame, byte[] Bytes)[] cache = new (long, byte[])[CachedPages];
    private readonly byte[] zeros = new byte[PageSize];
    private bool disposed;

    public MachineDump(string path, long length, DumpContents contents, ImageOptions options)
    {
        Path = path;
        Length = length;
        Format = contents.Format;
        pages = contents.Pages;
        Array.Fill(cache, (-1, []));
        HasRegisters = contents.Notes.Vcpus.Count > 0;
        Vcpus = HasRegisters ? contents.Notes.Vcpus : [UnknownVcpu];
        CurrentVcpu = contents.CurrentCpu >= 0 && contents.CurrentCpu < Vcpus.Count ? contents.CurrentCpu : 0;

        // The page tables come with QEMU's registers. Without them the kernel's own are needed, and for those its word where they are.
        string? text = contents.Notes.Vmcoreinfo;
        if (!contents.Notes.HaveControlRegisters)
        {
            text ??= options.FindVmcoreinfo?.Invoke(this);
            Vcpus = WithKernelTables(Vcpus, text, contents.PhysicalBase);
        }

        Capture = new CaptureInfo
        {
            Kind = CaptureKind.Import,
            Title = $"dump {System.IO.Path.GetFileName(path)}",
            HostTime = contents.Time ?? File.GetLastWriteTimeUtc(path),
            CurrentVcpu = CurrentVcpu,
            Cause = $"a dump in the form of {Format}",
            GuestRelease = VmcoreinfoText.Value(text, "OSRELEASE") ?? contents.Release,
            BuildId = VmcoreinfoText.Value(text, "BUILD-ID"),
            KernelOffset = VmcoreinfoText.Hexadecimal(text, "KERNELOFFSET"),
            Vmcoreinfo = text,
            DumpLevel = contents.DumpLevel,
            RegistersUnknown = !HasRegisters,
            RunningProcesses = contents.Notes.Processes.Count == Vcpus.Count ? [.. contents.Notes.Processes] : null,
        };
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public long Length { get; }

    /// <inheritdoc/>
    public string Format { get; }

    /// <inheritdoc/>
    public CaptureInfo Capture { get; }

    /// <inheritdoc/>
    public bool HasRegisters { get; }

    /// <inheritdoc/>
    public IReadOnlyList<PhysicalRange> Ram => pages.Ram;

    /// <inheritdoc/>
    public IReadOnlyList<VcpuState> Vcpus { get; }

    /// <inheritdoc/>
    public int CurrentVcpu { get; }

    /// <inheritdoc/>
    public ulong InstructionCount => 0;

    /// <inheritdoc/>
    public MachineExit? StopCause => null;

    private static VcpuState UnknownVcpu => Kdump.UnknownVcpu.RealMode;

    /// <inheritdoc/>
    /// <exception cref="ArchiveException">The dump is damaged there.</exception>
    public int ReadPhysical(ulong address, Span<byte> destination)
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            int done = 0;
            while (done < destination.Length)
            {
                ulong at = address + (ulong)done;
                ReadOnlySpan<byte> page = Page((long)(at / PageSize));
                if (page.IsEmpty || at < address)
                {
                    break;
                }

                page = page[(int)(at % PageSize)..];
                page = page[..Math.Min(page.Length, destination.Length - done)];
                page.CopyTo(destination[done..]);
                done += page.Length;
            }

            return done;
        }
    }

    /// <inheritdoc/>
    public bool IsUntouched(ulong address) => Look(address) == PageContent.Zeros;

    /// <inheritdoc/>
    public bool IsLeftOut(ulong address) => Look(address) == PageContent.LeftOut;

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (gate)
        {
            if (!disposed)
            {
                disposed = true;
                pages.Dispose();
            }
        }
    }

    private PageContent Look(ulong address)
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            return pages.Look((long)(address / PageSize));
        }
    }

    private ReadOnlySpan<byte> Page(long frame)
    {
        ref (long Frame, byte[] Bytes) slot = ref cache[frame % CachedPages];
        if (slot.Frame == frame)
        {
            return slot.Bytes;
        }

        switch (pages.Look(frame))
        {
            case PageContent.Zeros:
                return zeros;
            case PageContent.Stored:
                byte[] bytes = slot.Bytes.Length == PageSize ? slot.Bytes : new byte[PageSize];
                slot = (-1, bytes);
                pages.Read(frame, bytes);
                slot.Frame = frame;
                return bytes;
            default:
                return [];
        }
    }

    private static IReadOnlyList<VcpuState> WithKernelTables(IReadOnlyList<VcpuState> vcpus, string? text, ulong? physicalBase)
    {
        if (VmcoreinfoText.Hexadecimal(text, "SYMBOL(swapper_pg_dir)") is not { } root || root < KernelMap)
        {
            // No way from a linear address to memory: addresses are physical.
            return [.. vcpus.Select(v => v with { Cr0 = UnknownVcpu.Cr0, Cr4 = 0, Efer = 0 })];
        }

        ulong start = VmcoreinfoText.Value(text, "NUMBER(phys_base)") is not null ? VmcoreinfoText.PhysBase(text) : physicalBase ?? 0;
        ulong cr3 = root - KernelMap + start;
        bool fiveLevels = long.TryParse(VmcoreinfoText.Value(text, "NUMBER(pgtable_l5_enabled)"), CultureInfo.InvariantCulture, out long level) && level == 1;
        return
        [
            .. vcpus.Select(v => v with
            {
                Segments = ReferenceEquals(v, UnknownVcpu) ? Kdump.UnknownVcpu.LongMode.Segments : v.Segments,
                Cr0 = Kdump.UnknownVcpu.LongMode.Cr0,
                Cr3 = cr3,
                Cr4 = Kdump.UnknownVcpu.LongMode.Cr4 | (fiveLevels ? Linear57 : 0),
                Efer = Kdump.UnknownVcpu.LongMode.Efer,
            }),
        ];
    }
}
