using GuestOs.Linux.Symbols;
using GuestOs.Linux.Symbols.Elf;

namespace GuestOs.Tests.Symbols;

public sealed class SymbolFileTests
{
    [Fact]
    public void A_file_reads_the_same_in_pieces_and_whole()
    {
        SymbolFile file = new SmallKernel().Function(0x1000, "one", (0, "080000000500")).Build().CreateSymbolFile()!;
        var whole = new MemoryStream();
        file.WriteTo(whole);
        Assert.Equal(file.Length, whole.Length);
        Assert.Equal([0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1], whole.ToArray()[..6]);
        byte[] piece = new byte[777];
        for (int at = 0; at < whole.Length; at += 500)
        {
            int expected = (int)Math.Min(piece.Length, whole.Length - at);
            Assert.Equal(expected, file.Read(at, piece));
            Assert.True(piece.AsSpan(0, expected).SequenceEqual(whole.ToArray().AsSpan(at, expected)));
        }

        Assert.Equal(0, file.Read(file.Length, piece));
        Assert.Equal(0, file.Read(file.Length + 5, piece));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read(-1, piece));
    }

    [Fact]
    public void A_file_is_made_once_for_one_kernel_at_one_place_with_the_same_modules()
    {
        var cache = new SymbolFileCache();
        SymbolFile first = cache.Get(new SmallKernel().Build())!;
        Assert.Same(first, cache.Get(new SmallKernel().Build()));
        var other = new SmallKernel();
        other.AddModule("more", other.Text + 0x1D0_0000, 0x1000);
        SymbolFile second = cache.Get(other.Build())!;
        Assert.NotSame(first, second);
        Assert.Contains("more@", second.Key.Modules, StringComparison.Ordinal);
        Assert.NotSame(first, cache.Get(new SmallKernel().Build(), types: false));
        Assert.Same(first, cache.Get(new SmallKernel().Build()));
        Assert.Equal(SyntheticKernel.BuildId, first.Key.BuildId);
    }

    [Fact]
    public void A_kernel_without_symbols_has_no_file_and_says_why()
    {
        var image = new GuestImage();
        var kernel = new SyntheticKernel(image);
        kernel.WithVmCoreInfo();
        image.Cpus.Add(GuestImage.LongMode(kernel.Cr3, kernel.Text));
        KernelImage found = KernelImage.Find(image)!;
        Assert.Null(found.CreateSymbolFile());
        Assert.Empty(found.Tasks);
        Assert.Empty(found.Modules);
        Assert.Null(found.PanicVcpu);
        Assert.StartsWith("kallsyms: ", Assert.Single(found.Problems), StringComparison.Ordinal);
    }
}
