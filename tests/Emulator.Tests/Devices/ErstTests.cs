using System.Buffers.Binary;
using Emulator.Devices;

namespace Emulator.Tests.Devices;

public sealed class ErstTests
{
    private const ulong Success = 0, NotEnoughSpace = 1, Failed = 3, Empty = 4, NotFound = 5;

    [Fact]
    public void The_table_s_actions_describe_the_exchange_buffer()
    {
        var erst = new ErstInterpreter(new TestChipset());
        Assert.Equal((0xFED9_0000UL, 0x1_0000UL, 0UL), (erst.Run(0xD), erst.Run(0xE), erst.Run(0xF)));

        // 100 µs at the most in the upper half, 1 as a rule.
        Assert.Equal(0x0000_0064_0000_0001UL, erst.Run(0x10));
        Assert.Equal(0UL, erst.Run(0xA));
    }

    [Fact]
    public void A_report_written_at_a_panic_is_found_after_the_reset_and_can_be_erased()
    {
        var store = new ErstStore();
        var first = new TestChipset(store: store);
        byte[] report = Record(0x6A5B_4C3D_2E1F_0001, 3000, fill: 0xA5);
        Assert.Equal(Success, new ErstInterpreter(first).Write(report));
        Assert.Equal(["erst"], first.Asked);

        // pstore: list, read, erase.
        var next = new TestChipset(store: store);
        var erst = new ErstInterpreter(next);
        Assert.Equal(1UL, erst.Run(0xA));
        Assert.Equal([0x6A5B_4C3D_2E1F_0001], erst.Ids());
        (ulong status, byte[] read) = erst.Read(0x6A5B_4C3D_2E1F_0001);
        Assert.Equal(Success, status);
        Assert.Equal(report, read);
        Assert.Equal(Success, erst.Clear(0x6A5B_4C3D_2E1F_0001));
        Assert.Empty(erst.Ids());
        Assert.Empty(store.Records);
        Assert.Empty(next.Asked);
    }

    [Fact]
    public void A_reset_of_the_same_machine_keeps_the_records_and_clears_the_buffer()
    {
        var t = new TestChipset();
        var erst = new ErstInterpreter(t);
        erst.Write(Record(7, 200));
        t.Chipset.Reset();
        Assert.Equal(0UL, t.ReadMemory(0xFED9_0000, 8));
        Assert.Equal([7UL], erst.Ids());
    }

    [Fact]
    public void Identifiers_come_in_the_order_written_then_the_invalid_one_then_again()
    {
        var erst = new ErstInterpreter(new TestChipset());
        Assert.Equal(ulong.MaxValue, erst.Run(0x8));
        foreach (ulong id in new ulong[] { 30, 10, 20 })
        {
            erst.Write(Record(id, 128));
        }

        Assert.Equal([30, 10, 20], erst.Ids());
        Assert.Equal([30, 10, 20], erst.Ids());

        // A read moves on to what follows it, as Linux relies on when it lists while it reads.
        erst.Read(10);
        Assert.Equal([20], erst.Ids());

        // Erasing what lies before the place does not skip any.
        Assert.Equal(30UL, erst.Run(0x8));
        erst.Clear(30);
        Assert.Equal([10, 20], erst.Ids());
    }

    [Fact]
    public void The_unspecified_identifier_reads_the_first_record()
    {
        var erst = new ErstInterpreter(new TestChipset());
        erst.Write(Record(30, 128));
        erst.Write(Record(10, 128));
        (ulong status, byte[] read) = erst.Read(0);
        Assert.Equal((Success, 30UL), (status, BinaryPrimitives.ReadUInt64LittleEndian(read.AsSpan(96))));
    }

    [Fact]
    public void Writing_an_identifier_again_replaces_its_record()
    {
        var t = new TestChipset();
        var erst = new ErstInterpreter(t);
        erst.Write(Record(5, 500, fill: 1));
        erst.Write(Record(5, 300, fill: 2));
        Assert.Equal(300, erst.Read(5).Record.Length);
        Assert.Equal(1UL, erst.Run(0xA));
        Assert.Equal(300, t.Store.Used);
    }

    [Fact]
    public void An_empty_store_and_a_missing_record_are_told_apart()
    {
        var erst = new ErstInterpreter(new TestChipset());
        Assert.Equal(Empty, erst.Read(1).Status);
        Assert.Equal(Empty, erst.Clear(1));
        erst.Write(Record(2, 128));
        Assert.Equal(NotFound, erst.Read(1).Status);
        Assert.Equal(NotFound, erst.Clear(1));
    }

    [Fact]
    public void A_full_store_refuses_and_keeps_what_it_has()
    {
        var t = new TestChipset(store: new ErstStore(1000));
        var erst = new ErstInterpreter(t);
        Assert.Equal(Success, erst.Write(Record(1, 600)));
        Assert.Equal(NotEnoughSpace, erst.Write(Record(2, 401)));
        Assert.Equal(["erst"], t.Asked);
        Assert.Equal(Success, erst.Write(Record(2, 400)));
        Assert.Equal(NotEnoughSpace, erst.Write(Record(1, 601)));
        Assert.Equal(600, erst.Read(1).Record.Length);
        Assert.Equal(Success, erst.Clear(1));
        Assert.Equal(Success, erst.Write(Record(3, 600)));
    }

    [Fact]
    public void The_number_of_records_is_bounded()
    {
        var store = new ErstStore();
        byte[] record = Record(1, 128);
        for (ulong id = 1; id <= ErstStore.MaximumRecords; id++)
        {
            Assert.True(store.TryWrite(id, record));
        }

        Assert.False(store.TryWrite(5000, record));
        Assert.True(store.TryWrite(1, record));
    }

    [Fact]
    public void Records_can_lie_anywhere_in_the_buffer_and_fill_it()
    {
        var erst = new ErstInterpreter(new TestChipset());
        byte[] record = Record(9, 256, fill: 3);
        Assert.Equal(Success, erst.Write(record, offset: 0x1_0000 - 256));
        (ulong status, byte[] read) = erst.Read(9, offset: 0x8000);
        Assert.Equal(Success, status);
        Assert.Equal(record, read);
        Assert.Equal(Success, erst.Write(Record(10, 0x1_0000, fill: 4)));
        Assert.Equal(Failed, erst.Read(10, offset: 1).Status);
    }

    [Theory]
    [InlineData(0x1_0000UL)]
    [InlineData(0xFFFF_FFFF_FFFF_FFFFUL)]
    [InlineData(0xFF81UL)] // no room for a header
    public void An_offset_outside_the_buffer_fails(ulong offset)
    {
        var t = new TestChipset();
        var erst = new ErstInterpreter(t);
        erst.Write(Record(1, 128));
        erst.Run(0x0);
        erst.Run(0x4, offset);
        erst.Run(0x5);
        Assert.Equal(Failed, erst.Run(0x7));
        erst.Run(0x1);
        erst.Run(0x9, 1);
        erst.Run(0x5);
        Assert.Equal(Failed, erst.Run(0x7));
    }

    // Offset and bytes spoiled in a header that would be good.
    [Theory]
    [InlineData(0, new byte[] { (byte)'X' })]
    [InlineData(20, new byte[] { 0x7F, 0, 0, 0 })]
    [InlineData(20, new byte[] { 0x01, 0, 1, 0 })]
    [InlineData(20, new byte[] { 0xFF, 0xFF, 0xFF, 0xFF })]
    [InlineData(96, new byte[] { 0, 0, 0, 0, 0, 0, 0, 0 })]
    [InlineData(96, new byte[] { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF })]
    public void A_record_that_is_none_is_refused(int offset, byte[] spoiled)
    {
        var t = new TestChipset();
        byte[] record = Record(0x0102_0304, 200);
        spoiled.CopyTo(record, offset);
        Assert.Equal(Failed, new ErstInterpreter(t).Write(record));
        Assert.Empty(t.Store.Records);
        Assert.Empty(t.Asked);
    }

    [Fact]
    public void A_dummy_write_succeeds_and_executing_nothing_fails()
    {
        var t = new TestChipset();
        var erst = new ErstInterpreter(t);
        erst.Run(0xB);
        erst.Run(0x5);
        Assert.Equal(Success, erst.Run(0x7));
        erst.Run(0x3);
        erst.Run(0x5);
        Assert.Equal(Failed, erst.Run(0x7));
        Assert.Empty(t.Asked);
    }

    [Fact]
    public void Unknown_actions_change_nothing()
    {
        var t = new TestChipset();
        string before = t.Json();
        for (uint action = 0xC; action < 0x100; action += action == 0xC ? 5u : 1u)
        {
            t.WriteMemory(0xFED8_0000, 4, action);
        }

        Assert.Equal(before, t.Json());
    }

    [Fact]
    public void The_buffer_is_memory_of_every_access_size()
    {
        var t = new TestChipset();
        t.WriteMemory(0xFED9_FFF8, 8, 0x1122_3344_5566_7788);
        Assert.Equal((0x88UL, 0x5566UL, 0x1122_3344UL), (t.ReadMemory(0xFED9_FFF8, 1), t.ReadMemory(0xFED9_FFFA, 2), t.ReadMemory(0xFED9_FFFC, 4)));
    }

    [Fact]
    public void Saved_in_the_middle_of_a_read_and_loaded_both_go_on_alike()
    {
        var t = new TestChipset();
        var erst = new ErstInterpreter(t);
        erst.Write(Record(1, 300, fill: 1));
        erst.Write(Record(2, 400, fill: 2));
        erst.Run(0x8);
        erst.Run(0x1);
        erst.Run(0x9, 2);
        TestChipset other = t.Fork();
        Assert.Equal(t.Json(), other.Json());
        foreach (TestChipset each in new[] { t, other })
        {
            var interpreter = new ErstInterpreter(each);
            interpreter.Run(0x5);
            Assert.Equal(Success, interpreter.Run(0x7));
            Assert.Equal(2UL, each.ReadMemory(0xFED9_0000 + 96, 8));
            Assert.Equal(Success, interpreter.Clear(1));
            Assert.Empty(interpreter.Ids());
        }

        Assert.Equal(t.Json(), other.Json());
    }

    /// <summary>A CPER record: header of UEFI 2.9 table N-1, then filling.</summary>
    private static byte[] Record(ulong id, int length, byte fill = 0)
    {
        byte[] record = new byte[length];
        record.AsSpan(128).Fill(fill);
        "CPER"u8.CopyTo(record);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(6), 0xFFFF_FFFF);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(20), (uint)length);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(96), id);
        return record;
    }
}
