using System.Buffers.Binary;
using GuestOs.Linux.Symbols;
using GuestOs.Linux.Symbols.Elf;

namespace GuestOs.Tests.Symbols;

/// <summary>Stacks walked by ORC of 6.1 (arch/x86/include/asm/orc_types.h), and the same rows as DWARF.</summary>
public sealed class UnwinderTests
{
    // rsp+8, rsp+16 with rbp pushed, rbp+16, all registers at rsp, nothing known, the end.
    private const string Leaf = "080000000500", Pushed = "1000f0ff1500", Framed = "1000f0ff1400", Registers = "000000000501", Unknown = "000000000000", End = "000000000004";

    [Fact]
    public void A_stack_is_walked_through_an_interrupt_to_its_end()
    {
        SmallKernel kernel = Functions();
        ulong stack = kernel.Data + 0x1000, text = kernel.Text;

        // panic_here at +0x10, called by handler, which has a frame; entered by the interrupt entry from loop's first instruction.
        kernel.Write(stack, text + 0x1030);
        ulong frame = stack + 0x40;
        kernel.Write(frame, 0x1111);
        kernel.Write(frame + 8, text + 0x2008);
        ulong registers = frame + 16;
        kernel.Write(registers + 32, 0x2222);
        kernel.Write(registers + 128, text + 0x3000);
        kernel.Write(registers + 152, stack + 0x200);
        kernel.Write(stack + 0x200, text + 0x4010);
        KernelImage image = kernel.Build();
        var start = new KernelRegisters();
        start.Set(KernelRegisters.Rip, text + 0x10);
        start.Set(KernelRegisters.Rsp, stack);
        start.Set(KernelRegisters.Rbp, frame);
        IReadOnlyList<StackFrame> frames = image.Unwind(start);
        Assert.Equal(["panic_here+0x10", "handler+0x30", "interrupt_entry+0x8", "loop+0x0", "start+0x10"], frames.Select(one => one.ToString()));
        Assert.Equal([true, false, false, true, false], frames.Select(one => one.Interrupted));
        Assert.Equal([stack, stack + 8, registers, stack + 0x200, stack + 0x208], frames.Select(one => one.Sp));
    }

    [Fact]
    public void A_stack_that_leads_back_to_itself_ends()
    {
        SmallKernel kernel = Functions();
        ulong stack = kernel.Data + 0x1000;

        // The interrupted registers are those of the entry itself, again and again.
        kernel.Write(stack + 128, kernel.Text + 0x2008);
        kernel.Write(stack + 152, stack);
        KernelImage image = kernel.Build();
        var start = new KernelRegisters();
        start.Set(KernelRegisters.Rip, kernel.Text + 0x2008);
        start.Set(KernelRegisters.Rsp, stack);
        Assert.Equal(Unwinder.MaxFrames, image.Unwind(start).Count);
    }

    [Fact]
    public void An_interrupts_stack_may_lie_above_the_interrupted_one()
    {
        // The word at rsp leads to the task's stack, 24 bytes below the CFA there.
        SmallKernel kernel = new SmallKernel()
            .Function(0x1000, "sysvec_reboot", (0, "180000000900"))
            .Function(0x2000, "interrupt_entry", (0, End));
        ulong task = kernel.Data + 0x1000, interrupts = kernel.Data + 0x8000;
        kernel.Write(interrupts, task);
        kernel.Write(task + 16, kernel.Text + 0x2010);
        KernelImage image = kernel.Build();
        var start = new KernelRegisters();
        start.Set(KernelRegisters.Rip, kernel.Text + 0x1010);
        start.Set(KernelRegisters.Rsp, interrupts);
        Assert.Equal(["sysvec_reboot+0x10", "interrupt_entry+0x10"], image.Unwind(start).Select(frame => frame.ToString()));
        Assert.Equal(task + 24, image.Unwind(start)[1].Sp);
    }

    [Fact]
    public void Rows_become_call_frame_information()
    {
        SmallKernel kernel = new SmallKernel()
            .Function(0x1000, "with_frame", (0, Leaf), (1, Pushed), (4, Framed), (0x20, Unknown), (0x28, Framed), (0x30, Leaf))
            .Function(0x2000, "no_information", (0, Unknown))
            .Function(0x3000, "last", (0, End))
            .Function(0x4000, "sysvec_reboot", (0, Leaf), (1, "1800f0ff1900"));
        KernelImage image = kernel.Build();
        var writer = new FrameWriter();
        writer.Write(image.Symbols!, image.Orc!, kernel.Text + 0x1000, kernel.Text + SmallKernel.TextBytes);
        Dictionary<ulong, (ulong Length, string Program)> functions = Descriptions(writer.Written.Span);

        // advance 1; CFA offset 16; rbp at CFA-16; advance 3; CFA rbp+16; the gap is not there; advance 44; CFA rsp+8; rbp as it is.
        Assert.Equal((0x1000UL, "410e108602430c06106c0c07080806"), functions[kernel.Text + 0x1000]);
        Assert.False(functions.ContainsKey(kernel.Text + 0x2000));

        // Nobody called it: the return address (16) is undefined.
        Assert.Equal("0710", functions[kernel.Text + 0x3000].Program);

        // On an interrupt's stack: CFA rsp+8; through what rsp points at, return address at +16, rsp is +24, rbp at +8.
        Assert.Equal("410c07081010057700062310160705770006231810060577000623" + "08", functions[kernel.Text + 0x4000].Program);
    }

    private static SmallKernel Functions() => new SmallKernel()
        .Function(0, "panic_here", (0, Leaf))
        .Function(0x1000, "handler", (0, Leaf), (1, Pushed), (4, Framed))
        .Function(0x2000, "interrupt_entry", (0, Registers))
        .Function(0x3000, "loop", (0, Leaf), (1, Unknown))
        .Function(0x4000, "start", (0, End));

    // DWARF 4, chapter 6.4.1: length, CIE id or place, then of a function its place, length and program.
    private static Dictionary<ulong, (ulong Length, string Program)> Descriptions(ReadOnlySpan<byte> section)
    {
        var found = new Dictionary<ulong, (ulong Length, string Program)>();
        for (int at = 0; at < section.Length;)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(section[at..]);
            ReadOnlySpan<byte> entry = section.Slice(at + 4, length);
            if (BinaryPrimitives.ReadUInt32LittleEndian(entry) != uint.MaxValue)
            {
                string program = Convert.ToHexStringLower(entry[20..].TrimEnd((byte)0));
                found.Add(BinaryPrimitives.ReadUInt64LittleEndian(entry[4..]), (BinaryPrimitives.ReadUInt64LittleEndian(entry[12..]), program));
            }

            at += 4 + length;
        }

        return found;
    }
}
