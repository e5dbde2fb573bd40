using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.CompilerServices;
using Emulator.Cpu;
using Emulator.Devices;
using Emulator.Memory;
using Emulator.Time;

namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>
/// One vCPU in 64-bit mode with page tables, exception handlers and nothing else, that runs sequences at the addresses of
/// a <see cref="SequenceLayout"/>. Neighbouring linear pages are no neighbours in RAM.
/// </summary>
internal sealed unsafe class SequenceMachine : IMachineSignals, IDisposable
{
    private const ulong Tables = 0x1_0000, Physical = 0x8_0000;
    private const int IstTop = 0xF00, Frames = 27;

    private static readonly (int Offset, int Frame, ulong Rights)[] Pages =
    [
        // Code, from the last page to the first, and the same pages once more.
        (SequenceLayout.CodeOffset, 3, 7), (SequenceLayout.CodeOffset + 0x1000, 2, 7),
        (SequenceLayout.CodeOffset + 0x2000, 1, 7), (SequenceLayout.CodeOffset + 0x3000, 0, 7),
        (SequenceLayout.CodeAliasOffset, 3, 7), (SequenceLayout.CodeAliasOffset + 0x1000, 2, 7),
        (SequenceLayout.CodeAliasOffset + 0x2000, 1, 7), (SequenceLayout.CodeAliasOffset + 0x3000, 0, 7),
        (SequenceLayout.DataOffset, 16, 7), (SequenceLayout.DataOffset + 0x1000, 12, 7), (SequenceLayout.DataOffset + 0x2000, 14, 5),
        (SequenceLayout.DataOffset - 0x1000, 15, 6), (SequenceLayout.DataOffset + 0x3000, 17, 6), (SequenceLayout.DataOffset + 0x4000, 18, 3),
        (SequenceLayout.AliasedOffset, 10, 7),
        (SequenceLayout.HandlersOffset, 20, 3), (SequenceLayout.StopTableOffset, 21, 3), (SequenceLayout.ResumeTableOffset, 22, 3),
        (SequenceLayout.TaskStateOffset, 23, 3), (SequenceLayout.DescriptorsOffset, 24, 3), (SequenceLayout.KernelStackOffset, 25, 3),
        (SequenceLayout.VariablesOffset, 26, 3),
    ];

    private readonly GuestMemory memory = new(2 << 20);
    private readonly PhysicalSpace space;
    private readonly SequenceLayout layout;
    private readonly byte[] cleanTables;
    private readonly byte[] cleanFrames;
    private readonly byte[] wanted = new byte[Frames * SequenceLayout.PageSize];
    private readonly VcpuState powerOn;
    private readonly ulong regionTable;
    private ulong nextTable = Tables + 0x1000;

    internal SequenceMachine(SequenceLayout layout, EngineFactory engine)
    {
        this.layout = layout;
        space = new PhysicalSpace(memory, new IoBus());
        var clock = new VirtualClock();
        Cpu = engine(space, clock, this, new RandomSource(1));
        Cpu.Apic = new LocalApic(0, new ApicBus(), new PicPair(_ => { }), Cpu, clock, new EventQueue(), Paging.PhysicalBits);
        memory.HostAddressesRevoked = Cpu.HostAddressesRevoked;
        memory.PageMoved = (page, _) => Cpu.PageMoved(page);
        foreach ((int offset, int frame, ulong rights) in Pages)
        {
            Map(layout.Start + (ulong)offset, Frame(frame), rights);
        }

        regionTable = TableOf(layout.Start);
        Map(layout.Start + SequenceLayout.PageTableOffset, regionTable, 3);
        cleanTables = new byte[(int)(nextTable - Tables)];
        space.Read(Tables, cleanTables);
        WriteSystemTables();
        for (int frame = 15; frame <= 18; frame++)
        {
            space.Write(Frame(frame), Enumerable.Repeat((byte)frame, SequenceLayout.PageSize).ToArray());
        }

        cleanFrames = new byte[Frames * SequenceLayout.PageSize];
        space.Read(Physical, cleanFrames);
        Cpu.PowerOn();
        powerOn = Cpu.Save();
    }

    internal Vcpu Cpu { get; }

    internal CpuState* State => Cpu.State;

    /// <summary>A reset was asked for: delivery of an exception failed three times.</summary>
    internal bool ResetRequested { get; private set; }

    /// <summary>A page by its linear address.</summary>
    internal Span<byte> Page(ulong linear) => new(memory.WritePage(FrameOf(linear) >> 12), SequenceLayout.PageSize);

    /// <summary>Puts code and state of a sequence in place; the data pages are the caller's.</summary>
    internal void Prepare(Sequence sequence, bool flush)
    {
        for (int done = 0; done < sequence.Length + 5;)
        {
            ulong linear = sequence.Address + (ulong)done;
            int offset = (int)(linear & 0xFFF);
            int part = Math.Min(SequenceLayout.PageSize - offset, sequence.Length + 5 - done);
            sequence.Code.AsSpan(done, part).CopyTo(Page(linear)[offset..]);
            Cpu.NoteCodeWrite(FrameOf(linear) + (ulong)offset, part);
            done += part;
        }

        SetState(sequence, resume: false, flush);
    }

    private void SetState(Sequence sequence, bool resume, bool flush)
    {
        ResetRequested = false;
        CpuState* s = Cpu.State;
        for (int i = 0; i < 16; i++)
        {
            s->Gpr[i] = sequence.State.Gpr[i];
        }

        s->Rflags = sequence.State.Rflags;
        s->Rip = sequence.Address;
        fixed (byte* fx = sequence.State.Fx)
        {
            Unsafe.CopyBlock(s->Fx, fx, 512);
        }

        s->Cpl = (byte)sequence.Cpl;
        s->Halted = 0;
        s->InterruptShadow = 0;
        s->Cr0 = ControlRegisters.Pe | ControlRegisters.Mp | ControlRegisters.Ne | ControlRegisters.Wp | ControlRegisters.Pg;
        s->Cr2 = 0;
        s->Cr3 = Tables;
        s->Cr4 = ControlRegisters.Pae | ControlRegisters.OsFxsr | ControlRegisters.OsXmmExcept;
        s->Efer = ControlRegisters.EferLme | ControlRegisters.EferLma | ControlRegisters.EferNxe | ControlRegisters.EferSce;
        s->Xcr0 = 3;
        s->IdtrBase = layout.Start + (ulong)(resume ? SequenceLayout.ResumeTableOffset : SequenceLayout.StopTableOffset);
        s->IdtrLimit = 0x1FF;
        s->GdtrBase = layout.Start + SequenceLayout.DescriptorsOffset;
        s->GdtrLimit = 0x3F;
        int rights = sequence.Cpl << 5;
        for (int i = SegmentIndex.Es; i <= SegmentIndex.Gs; i++)
        {
            bool code = i == SegmentIndex.Cs;
            int selector = sequence.Cpl == 0 ? code ? 0x08 : 0x10 : code ? 0x1B : 0x23;
            ulong start = i == SegmentIndex.Gs ? layout.GsBase : i == SegmentIndex.Fs ? layout.FsBase : 0;
            s->Seg(i) = new Segment
            {
                Selector = (ushort)selector,
                Attributes = (ushort)((code ? 0xA09B : 0xC093) | rights),
                Limit = uint.MaxValue,
                Base = start,
            };
        }

        s->Seg(SegmentIndex.Tr) = new Segment
        {
            Selector = 0x28,
            Attributes = 0x8B,
            Limit = 0x67,
            Base = layout.Start + SequenceLayout.TaskStateOffset,
        };
        if (flush)
        {
            Cpu.FlushTlb(keepGlobal: false);
        }

        Cpu.CodeModeChanged();
        Cpu.ModeChanged();
    }

    /// <summary>
    /// Makes the machine what it was before any sequence ran, with this one to run. Only pages that differ are written, so
    /// that code that has run stays decoded.
    /// </summary>
    internal void Restore(Sequence sequence, byte[] data, bool resume)
    {
        Span<byte> image = wanted;
        cleanFrames.CopyTo(image);
        for (int done = 0; done < sequence.Length + 5; done++)
        {
            ulong linear = sequence.Address + (ulong)done;
            image[(int)(FrameOf(linear) + (linear & 0xFFF) - Physical)] = sequence.Code[done];
        }

        for (int i = 0; i < 3; i++)
        {
            ulong page = i == 2 ? layout.Aliased : layout.Data + (ulong)(i * SequenceLayout.PageSize);
            data.AsSpan(i * SequenceLayout.PageSize, SequenceLayout.PageSize).CopyTo(image[(int)(FrameOf(page) - Physical)..]);
        }

        BinaryPrimitives.WriteUInt64LittleEndian(image[(int)(FrameOf(layout.Start + SequenceLayout.VariablesOffset) - Physical)..], sequence.EndAddress);
        for (int frame = 0; frame < Frames; frame++)
        {
            Span<byte> page = image.Slice(frame * SequenceLayout.PageSize, SequenceLayout.PageSize);
            if (!page.SequenceEqual(new ReadOnlySpan<byte>(memory.ReadPage(Frame(frame) >> 12), SequenceLayout.PageSize)))
            {
                space.Write(Frame(frame), page);
                Cpu.NoteCodeWrite(Frame(frame), SequenceLayout.PageSize);
            }
        }

        // What the resume table's page fault handler makes present where nothing was is the page at zero.
        new Span<byte>(memory.WritePage(0), SequenceLayout.PageSize).Clear();
        Cpu.NoteCodeWrite(0, SequenceLayout.PageSize);
        space.Write(Tables, cleanTables);
        Cpu.Load(powerOn);
        Cpu.State->InstructionCount = 0;
        Cpu.Random.Draws = 0;
        Cpu.ClearWatchHit();
        SetState(sequence, resume, flush: true);
    }

    /// <summary>A number that stands for all of RAM that sequences can reach, page tables included.</summary>
    internal ulong HashMemory()
    {
        var hash = new XxHash3();
        for (int frame = 0; frame < Frames; frame++)
        {
            hash.Append(new ReadOnlySpan<byte>(memory.ReadPage(Frame(frame) >> 12), SequenceLayout.PageSize));
        }

        hash.Append(new ReadOnlySpan<byte>(memory.ReadPage(0), SequenceLayout.PageSize));
        hash.Append(new ReadOnlySpan<byte>(memory.ReadPage(regionTable >> 12), SequenceLayout.PageSize));
        return hash.GetCurrentHashAsUInt64();
    }

    /// <summary>The quadwords delivery pushed, from the lowest address on.</summary>
    internal ReadOnlySpan<byte> Frame(bool hasError) =>
        Page(layout.Start + SequenceLayout.KernelStackOffset).Slice(IstTop - (hasError ? 48 : 40), hasError ? 48 : 40);

    public void Dispose()
    {
        Cpu.Dispose();
        memory.Dispose();
    }

    void IMachineSignals.RequestReset(ResetCause cause) => ResetRequested = true;

    void IMachineSignals.RequestPowerOff() => ResetRequested = true;

    void IMachineSignals.RequestExit(int code) => ResetRequested = true;

    void IMachineSignals.PvPanic(byte events) => ResetRequested = true;

    void IMachineSignals.ErstRecordWritten() => ResetRequested = true;

    private static ulong Frame(int number) => Physical + ((ulong)number << 12);

    private ulong FrameOf(ulong linear)
    {
        ulong offset = (linear & ~0xFFFUL) - layout.Start;
        foreach ((int at, int frame, _) in Pages)
        {
            if (offset == (ulong)at)
            {
                return Frame(frame);
            }
        }

        throw new ArgumentOutOfRangeException(nameof(linear), linear, "no page of the layout");
    }

    private void WriteSystemTables()
    {
        byte[] handlers = GuestHandlers.Assemble(layout, out ulong[] resume);
        handlers.CopyTo(Page(layout.Handlers));
        for (int vector = 0; vector < 32; vector++)
        {
            WriteGate(SequenceLayout.StopTableOffset, vector, layout.Handlers + ((ulong)vector * 16));
            WriteGate(SequenceLayout.ResumeTableOffset, vector, resume[vector]);
        }

        Span<byte> task = Page(layout.Start + SequenceLayout.TaskStateOffset);
        ulong stack = layout.Start + SequenceLayout.KernelStackOffset + IstTop;
        BinaryPrimitives.WriteUInt64LittleEndian(task[4..], stack);
        BinaryPrimitives.WriteUInt64LittleEndian(task[0x24..], stack);
        Span<byte> descriptors = Page(layout.Start + SequenceLayout.DescriptorsOffset);
        ReadOnlySpan<ulong> entries = [0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00AF_FB00_0000_FFFF, 0x00CF_F300_0000_FFFF];
        for (int i = 0; i < entries.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(descriptors[(i * 8)..], entries[i]);
        }
    }

    // An interrupt gate (SDM vol. 3A §6.14.1) to stack 1; breakpoints may come from user code.
    private void WriteGate(int table, int vector, ulong handler)
    {
        Span<byte> gate = Page(layout.Start + (ulong)table)[(vector * 16)..];
        ulong low = (handler & 0xFFFF) | (0x08UL << 16) | (1UL << 32) | (0x8EUL << 40) | ((handler >> 16 & 0xFFFF) << 48);
        BinaryPrimitives.WriteUInt64LittleEndian(gate, vector == 3 ? low | (3UL << 45) : low);
        BinaryPrimitives.WriteUInt64LittleEndian(gate[8..], handler >> 32);
    }

    private void Map(ulong linear, ulong physical, ulong rights) =>
        space.WriteTable64(TableOf(linear) + (((linear >> 12) & 511) * 8), physical | rights | ((rights & 1) != 0 ? 0x20UL : 0));

    private ulong TableOf(ulong linear)
    {
        ulong table = Tables;
        for (int shift = 39; shift > 12; shift -= 9)
        {
            ulong at = table + (((linear >> shift) & 511) * 8);
            ulong entry = space.ReadTable64(at);
            if ((entry & 1) == 0)
            {
                entry = nextTable | 7;
                nextTable += 0x1000;
                space.WriteTable64(at, entry);
            }

            table = entry & ~0xFFFUL;
        }

        return table;
    }
}
