using System.Buffers.Binary;
using Debugging.Kernels;
using GdbStub.Targets;

namespace Debugging.Tests.Kernels;

public sealed class FramePatchTests
{
    // A CIE, then the descriptions of three functions: DWARF 4 §6.4.1.
    private static readonly (ulong Start, ulong Length)[] Functions = [(0x1000, 0x20), (0x1020, 0x40), (0x2000, 0x10)];

    [Theory]
    [InlineData(1, 1000)]
    [InlineData(3, 7)]
    [InlineData(64, 64)]
    public void Functions_described_wrongly_hold_no_address_and_all_else_is_as_it_was(int from, int step)
    {
        byte[] frames = Frames();
        byte[] file = new ElfWriter().Section(".text", new byte[33]).Section(".debug_frame", frames).Section(".debug_info", [1]).Build();
        IVirtualFile patched = Patch(file, [(0x1020, 0x1060), (0x1FFF, 0x2001)]);
        Assert.Equal((ulong)file.Length, patched.Length);

        // Whatever pieces it is read in.
        byte[] read = [.. file[..from]];
        for (int at = from; at < file.Length; at += step)
        {
            byte[] piece = new byte[Math.Min(step, file.Length - at)];
            Assert.Equal(piece.Length, patched.Read((ulong)at, piece));
            read = [.. read, .. piece];
        }

        Assert.Equal(0, patched.Read((ulong)file.Length, new byte[4]));
        byte[] expected = [.. file];
        int frame = expected.AsSpan().IndexOf(frames);
        foreach (int function in (int[])[1, 2])
        {
            expected.AsSpan(frame + At(function) + 16, 8).Clear();
        }

        Assert.Equal(expected, read);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_table_that_makes_no_sense_is_left_alone(bool huge)
    {
        byte[] frames = Frames();
        BinaryPrimitives.WriteUInt32LittleEndian(frames, huge ? uint.MaxValue : 1u << 20);
        byte[] file = new ElfWriter().Section(".debug_frame", frames).Build();
        byte[] read = new byte[file.Length];
        Assert.Equal(file.Length, Patch(file, [(0x1000, 0x3000)]).Read(0, read));
        Assert.Equal(file, read);
    }

    [Fact]
    public void A_compressed_table_is_left_alone()
    {
        byte[] file = new ElfWriter().Section(".debug_frame", Frames(), flags: 0x800).Build();
        byte[] read = new byte[file.Length];
        Patch(file, [(0x1000, 0x3000)]).Read(0, read);
        Assert.Equal(file, read);
    }

    private static int At(int function) => 16 + (function * 32);

    private static byte[] Frames()
    {
        byte[] frames = new byte[16 + (Functions.Length * 32)];
        BinaryPrimitives.WriteUInt32LittleEndian(frames, 12);
        BinaryPrimitives.WriteUInt32LittleEndian(frames.AsSpan(4), uint.MaxValue);
        for (int i = 0; i < Functions.Length; i++)
        {
            Span<byte> entry = frames.AsSpan(At(i), 32);
            BinaryPrimitives.WriteUInt32LittleEndian(entry, 28);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[8..], Functions[i].Start);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[16..], Functions[i].Length);
            entry[24..].Fill((byte)(i + 1));
        }

        return frames;
    }

    private static IVirtualFile Patch(byte[] file, (ulong, ulong)[] wrong)
    {
        string path = Path.GetTempFileName();
        File.WriteAllBytes(path, file);
        ElfHeader header = ElfHeader.TryRead(path)!;
        IVirtualFile opened = FramePatch.Over(HostFile.TryOpen(path)!, header, wrong);
        File.Delete(path);
        return opened;
    }
}
