using CsCheck;
using GuestOs.Linux.Symbols;
using GuestOs.Linux.Symbols.Elf;

namespace GuestOs.Tests.Symbols;

public sealed class BtfTests
{
    [Fact]
    public void Members_are_found_through_unnamed_structures_and_by_paths()
    {
        var writer = new BtfWriter();
        int word = writer.Int("unsigned int", 4);
        int inner = writer.Struct("", 8, ("low", word, 0), ("high", word, 32));
        int choice = writer.Union("", 8, ("", inner, 0), ("both", writer.Int("u64", 8), 0));
        int list = writer.Struct("list_head", 16, ("next", writer.Pointer(0), 0), ("prev", writer.Pointer(0), 64));
        int name = writer.Typedef("list_t", writer.Modifier(BtfKind.Const, list));
        int outer = writer.Struct("task_struct", 40, ("flags", word, 0), ("", choice, 64), ("tasks", name, 128), ("comm", writer.Array(writer.Int("char", 1, 1), 8), 256));
        Btf types = Btf.Parse(writer.Build(), null, out string? problem)!;
        Assert.Null(problem);
        Assert.Equal(outer, types.Find("task_struct", BtfKind.Struct));
        Assert.Equal(0, types.Find("task_struct", BtfKind.Union));
        foreach ((string path, int offset) in new[] { ("flags", 0), ("low", 8), ("high", 12), ("both", 8), ("tasks", 16), ("tasks.prev", 24), ("comm", 32) })
        {
            Assert.True(types.TryGetOffset(outer, path, out int bytes), path);
            Assert.Equal(offset, bytes);
        }

        Assert.False(types.TryGetOffset(outer, "tasks.none", out _));
        Assert.False(types.TryGetOffset(outer, "flags.x", out _));
        Assert.Equal(40, types.SizeOf(outer));
        Assert.Equal(8, types.SizeOf(types.Find("u64", BtfKind.Int)));
        Assert.Equal(16, types.SizeOf(name));
    }

    [Fact]
    public void A_modules_types_continue_the_kernels()
    {
        var kernel = new BtfWriter();
        int word = kernel.Int("int", 4, 1);
        int device = kernel.Struct("device", 4, ("id", word, 0));
        Btf below = Btf.Parse(kernel.Build(), null, out _)!;
        var module = new BtfWriter(kernel.NextId, kernel.StringsLength);
        int own = module.Struct("loop_device", 8, ("number", word, 0), ("parent", device, 32));
        Btf types = Btf.Parse(module.Build(), below, out string? problem)!;
        Assert.Null(problem);
        Assert.Equal(3, own);
        Assert.Equal(4, types.Count);
        Assert.Equal(own, types.Find("loop_device", BtfKind.Struct));
        Assert.Equal(device, types.Find("device", BtfKind.Struct));
        Assert.True(types.TryGetOffset(own, "parent.id", out int bytes) && bytes == 4);
        Assert.Equal("loop_device", types.NameOf(own));
        Assert.Equal("device", types.NameOf(device));
    }

    [Theory]
    [InlineData(0, "not BTF")]
    [InlineData(4, "outside of it")]
    [InlineData(12, "outside of it")]
    [InlineData(20, "outside of it")]
    public void A_header_that_lies_is_refused(int field, string why)
    {
        var writer = new BtfWriter();
        writer.Int("int", 4);
        byte[] bytes = writer.Build();
        bytes.AsSpan(field, 4).Fill(0xFF);
        Assert.Null(Btf.Parse(bytes, null, out string? problem));
        Assert.Contains(why, problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(BtfKind.Void, 0, "unknown kind 0")]
    [InlineData((BtfKind)25, 0, "unknown kind 25")]
    [InlineData(BtfKind.Struct, 60000, "lies beyond the end")]
    public void What_comes_before_something_unknown_is_taken(BtfKind kind, int count, string why)
    {
        var writer = new BtfWriter();
        int word = writer.Int("int", 4);
        writer.Type(kind, "", 0, false, count);
        Btf types = Btf.Parse(writer.Build(), null, out string? problem)!;
        Assert.Equal(2, types.Count);
        Assert.Equal(4, types.SizeOf(word));
        Assert.Contains(why, problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Types_made_of_themselves_have_no_size_and_no_members_and_are_cut()
    {
        var writer = new BtfWriter();
        int word = writer.Int("int", 4);

        // 2 is a name for itself, 3 an array of itself, 4 holds itself, 5 and 6 point at each other, 7 returns itself.
        writer.Typedef("me", 2);
        writer.Array(3, 1000);
        writer.Struct("nest", 8, ("", 4, 0), ("x", word, 32));
        writer.Pointer(6);
        writer.Pointer(5);
        writer.Prototype(7, ("a", 7));
        int sound = writer.Struct("list", 8, ("next", writer.NextId + 1, 0));
        writer.Pointer(sound);
        Btf types = Btf.Parse(writer.Build(), null, out _)!;
        Assert.Equal(0, types.SizeOf(2));
        Assert.Equal(0, types.SizeOf(3));
        Assert.False(types.TryGetOffset(4, "y", out _));
        var check = new TypeCheck(types);
        Assert.True(check.IsCut(2, 0));
        Assert.True(check.IsCut(3, 0));
        Assert.True(check.IsCut(4, 0));
        Assert.False(check.IsCut(4, 1));
        Assert.True(check.IsCut(5, 0) ^ check.IsCut(6, 0));
        Assert.True(check.IsCut(7, 0));
        Assert.True(check.IsCut(7, 1));
        Assert.False(check.IsCut(sound, 0));
    }

    [Fact]
    public void A_chain_without_end_in_sight_is_cut()
    {
        var writer = new BtfWriter();
        int last = writer.Int("int", 4);
        for (int i = 0; i < 10_000; i++)
        {
            last = writer.Pointer(last);
        }

        Btf types = Btf.Parse(writer.Build(), null, out _)!;
        Assert.InRange(new TypeCheck(types).Cuts, 10_000 / TypeCheck.MaxDepth / 2, 10_000);
    }

    [Fact]
    public void A_name_without_end_or_with_control_characters_reads_as_none()
    {
        var writer = new BtfWriter();
        int endless = writer.Int(new string('x', 600), 4);
        int steering = writer.Int("\u001b[31m", 4);
        int usual = writer.Int("long unsigned int", 8);
        Btf types = Btf.Parse(writer.Build(), null, out _)!;
        Assert.Equal("", types.NameOf(endless));
        Assert.Equal("", types.NameOf(steering));
        Assert.Equal("long unsigned int", types.NameOf(usual));
    }

    [Fact]
    public void Types_of_any_bytes_become_entries_of_bounded_size()
    {
        var writer = new BtfWriter();
        int word = writer.Int("int", 4, 1);
        int pointer = writer.Pointer(0);
        int structure = writer.Struct("s", 24, ("a", word, 0), ("b", pointer, 64), ("c", writer.Array(word, 2), 128));
        writer.Union("u", 24, ("", structure, 0), ("d", writer.Typedef("t", structure), 0));
        writer.Enum("e", 4, ("A", 1), ("B", -1));
        writer.BitStruct("f", 4, ("x", word, 0, 3), ("y", word, 3, 5));
        writer.Function("g", writer.Prototype(word, ("p", pointer), ("q", structure), ("", 0)));
        byte[] whole = writer.Build();
        int cases = 0;
        Gen.Select(Gen.Int[24, whole.Length - 4], Gen.OneOf(Gen.Int[0, 24], Gen.Int), Gen.Bool).Array[1, 6].Array[3000].Sample(
            all =>
            {
                foreach ((int At, int Value, bool Byte)[] spoils in all)
                {
                    cases++;
                    byte[] bytes = [.. whole];
                    foreach ((int at, int value, bool single) in spoils)
                    {
                        if (single)
                        {
                            bytes[at] = (byte)value;
                        }
                        else
                        {
                            BitConverter.TryWriteBytes(bytes.AsSpan(at & ~3), value);
                        }
                    }

                    if (Btf.Parse(bytes, null, out _) is { } types)
                    {
                        var info = new ByteBuffer(256);
                        new TypeWriter(types, info, null, 0, 0).Write(new ProblemLog(), "BTF");
                        Assert.InRange(info.Length, 1, whole.Length * 8);
                    }
                }
            },
            seed: "0000KOIPe9X3",
            iter: 1);
        Assert.Equal(3000, cases);
    }
}
