using GuestOs.Linux;
using GuestOs.Linux.Symbols;

namespace GuestOs.Tests.Symbols;

public sealed class KallsymsTests
{
    private const ulong TablesOffset = 0x100_0000;

    // Kernels that do not name the tables are from before 6.0.
    [Theory]
    [InlineData("Absolute", true)]
    [InlineData("BaseRelative", true)]
    [InlineData("AbsolutePerCpu", true)]
    [InlineData("PlaceRelative", true)]
    [InlineData("Absolute", false)]
    [InlineData("BaseRelative", false)]
    [InlineData("AbsolutePerCpu", false)]
    public void Every_way_of_writing_addresses_is_read(string way, bool named)
    {
        AddressEncoding encoding = Enum.Parse<AddressEncoding>(way);
        (KernelMemory memory, KallsymsWriter writer, _) = Kernel(encoding, named, 600);
        var problems = new ProblemLog();
        SymbolTable? symbols = Kallsyms.Read(memory, problems);
        Assert.NotNull(symbols);
        Assert.Empty(problems.Lines);
        Assert.Equal(writer.Symbols.Count, symbols.Count);
        for (int i = 0; i < symbols.Count; i++)
        {
            (ulong address, char type, string name) = writer.Symbols[i];
            Assert.Equal(new KernelSymbol(address, type, name), symbols[i]);
        }
    }

    [Fact]
    public void Symbols_are_found_by_name_and_by_address()
    {
        (KernelMemory memory, _, ulong text) = Kernel(AddressEncoding.AbsolutePerCpu, true, 10);
        SymbolTable symbols = Kallsyms.Read(memory, new ProblemLog())!;
        Assert.True(symbols.TryGetAddress("__start_rodata", out ulong address));
        Assert.Equal(text + 0x80_0000, address);
        Assert.False(symbols.TryGetAddress("absent", out _));
        Assert.False(symbols.TryGetAddress(new string('x', 5000), out _));
        Assert.True(symbols.TryFind(text + 0x1_002F, out KernelSymbol symbol));
        Assert.Equal(new KernelSymbol(text + 0x1_0020, 't', "function_2"), symbol);

        Assert.True(symbols.TryFind(text + 4, out symbol));
        Assert.Equal("_stext", symbol.Name);
    }

    [Fact]
    public void A_name_of_any_bytes_reads_as_printable_ascii()
    {
        (KernelMemory memory, _, _) = Kernel(AddressEncoding.BaseRelative, true, 3, "evil\u001b]0;x\u0007");
        SymbolTable symbols = Kallsyms.Read(memory, new ProblemLog())!;
        for (int i = 0; i < symbols.Count; i++)
        {
            Assert.DoesNotContain(symbols[i].Name, letter => letter is <= ' ' or > '~');
        }
    }

    [Theory]
    [InlineData("SYMBOL(_stext)=", "SYMBOL(_stext)=ffffffff81234567\nSYMBOL(x)=", "no way of writing addresses down gives _stext its place")]
    [InlineData("SYMBOL(kallsyms_num_syms)=", "SYMBOL(kallsyms_num_syms)=ffffffff00000000\nSYMBOL(x)=", "not found in memory")]
    [InlineData("SYMBOL(kallsyms_token_index)=", "SYMBOL(kallsyms_token_index)=ffffffff00000000\nSYMBOL(x)=", "token table cannot be read")]
    public void What_is_wrong_is_told(string line, string instead, string problem)
    {
        (KernelMemory memory, _, _) = Kernel(AddressEncoding.AbsolutePerCpu, true, 3, edit: text => text.Replace(line, instead, StringComparison.Ordinal));
        var problems = new ProblemLog();
        Assert.Null(Kallsyms.Read(memory, problems));
        Assert.Contains(problems.Lines, told => told.Contains(problem, StringComparison.Ordinal));
    }

    [Fact]
    public void Damaged_names_are_lost_up_to_the_next_marker()
    {
        (KernelMemory memory, KallsymsWriter writer, ulong text, GuestImage image, SyntheticKernel kernel) = Make(AddressEncoding.AbsolutePerCpu, true, 600);

        // Names of length 0, among the first 256.
        image.Write(kernel.Physical(text + TablesOffset + (ulong)writer.NamesAt + 2000), new byte[64]);
        var problems = new ProblemLog();
        SymbolTable? symbols = Kallsyms.Read(memory, problems);
        Assert.Null(symbols);
        Assert.Equal("kallsyms: 256 names of 604 are damaged", problems.Lines[0]);

        // In the second 256, _stext is not among them.
        (memory, writer, text, image, kernel) = Make(AddressEncoding.AbsolutePerCpu, true, 600);
        image.Write(kernel.Physical(text + TablesOffset + (ulong)writer.NamesAt + 4500), new byte[64]);
        problems = new ProblemLog();
        symbols = Kallsyms.Read(memory, problems);
        Assert.NotNull(symbols);
        Assert.Equal(["kallsyms: 256 names of 604 are damaged"], problems.Lines);
        for (int i = 0; i < symbols.Count; i++)
        {
            (ulong address, char type, string name) = writer.Symbols[i];
            Assert.Equal(i is >= 256 and < 512 ? new KernelSymbol(address, '?', "?") : new KernelSymbol(address, type, name), symbols[i]);
        }
    }

    private static (KernelMemory Memory, KallsymsWriter Writer, ulong Text) Kernel(
        AddressEncoding encoding, bool named, int functions, string? more = null, Func<string, string>? edit = null)
    {
        (KernelMemory memory, KallsymsWriter writer, ulong text, _, _) = Make(encoding, named, functions, more, edit);
        return (memory, writer, text);
    }

    private static (KernelMemory Memory, KallsymsWriter Writer, ulong Text, GuestImage Image, SyntheticKernel Kernel) Make(
        AddressEncoding encoding, bool named, int functions, string? more = null, Func<string, string>? edit = null)
    {
        var image = new GuestImage();
        var kernel = new SyntheticKernel(image);
        KallsymsWriter writer = new KallsymsWriter(encoding).Add(kernel.Text, 'T', "_stext").Add(kernel.Text + 0x80_0000, 'D', "__start_rodata");
        if (encoding is AddressEncoding.Absolute or AddressEncoding.AbsolutePerCpu)
        {
            writer.Add(0x1FB80, 'D', "current_task");
        }

        for (int i = 0; i < functions; i++)
        {
            writer.Add(kernel.Text + 0x1_0000 + ((ulong)i * 16), 't', $"function_{i}");
        }

        writer.Add(kernel.Text + 0x90_0000, 'b', "a_name_longer_than_a_hundred_and_twenty_seven_letters_" + new string('x', 100));
        if (more is not null)
        {
            writer.Add(kernel.Text + 0x90_0100, 'b', more);
        }

        writer.WriteTo(kernel, image, kernel.Text + TablesOffset);
        string text = kernel.VmCoreInfoText(kernel.RingVmCoreInfo() + (named ? writer.VmCoreInfoLines : ""));
        kernel.WithVmCoreInfo(edit?.Invoke(text) ?? text);
        VmCoreInfo info = Assert.Single(VmCoreInfo.FindAll(image));
        return (new KernelMemory(image, info), writer, kernel.Text, image, kernel);
    }
}
