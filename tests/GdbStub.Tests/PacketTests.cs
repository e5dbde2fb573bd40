using System.Text;
using GdbStub.Packets;
using GdbStub.Sessions;
using GdbStub.Targets;

namespace GdbStub.Tests;

public sealed class PacketTests
{
    /// <summary>One packet, one reply, against a fresh toy whose memory starts with 00 01 02 …; null means no reply.</summary>
    public static TheoryData<string, string?> Exchanges => new()
    {
        { "m1000,4", "00010203" },
        { "m1000,0", "" },
        { "m10ff0,20", "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff" + "" },
        { "m0,4", "E0e" },
        { "m1000", "E16" },
        { "m1000,4x", "E16" },
        { "m,4", "E16" },
        { "m10000000000000001,4", "E16" },
        { "mffffffffffffffff,ffffffffffffffff", "E0e" },
        { "x1000,4", "b\x00\x01\x02\x03" },
        { "x1023,2", "b#$" },
        { "x0,0", "b" },
        { "x0,4", "E0e" },
        { "M1000,2:abcd", "OK" },
        { "M1000,2:abc", "E.malformed packet; expected M ADDRESS,LENGTH:DATA" },
        { "M1000,2:abzz", "E.malformed packet; expected M ADDRESS,LENGTH:DATA" },
        { "M1000,ffffffffffffffff:ab", "E.malformed packet; expected M ADDRESS,LENGTH:DATA" },
        { "M1000,8000000000000000:", "E.malformed packet; expected M ADDRESS,LENGTH:DATA" },
        { "M0,1:ab", "E.no memory to write at 0x0" },
        { "M10fff,2:abcd", "E.no memory to write at 0x11000" },
        { "X1000,0:", "OK" },
        { "X1000,2:}\x03z", "OK" },
        { "X1000,2:z", "E.malformed packet; expected X ADDRESS,LENGTH:DATA" },
        { "X1000,1:}", "E.malformed packet; expected X ADDRESS,LENGTH:DATA" },
        { "qSearch:memory:1000;100;\x05\x06", "1,1005" },
        { "qSearch:memory:1000;6;\x05\x06", "0" },
        { "qSearch:memory:1000;100;zz", "0" },
        { "qSearch:memory:10f00;200;zz", "E.no memory at 0x11000" },
        { "qSearch:memory:1000;100;", "E.malformed packet; expected qSearch:memory:ADDRESS;LENGTH;PATTERN with a pattern of 1 to 16384 bytes" },
        { "qSearch:memory:1000;ffffffffffffffff;a", "E.0xffffffffffffffff bytes are more than one request may scan (0x1000000000); search smaller ranges" },

        // CRC-32/MPEG-2 of 00 is 4E08BFB4 (catalogue of parametrised CRC algorithms: init all ones, no reflection, no xor).
        { "qCRC:1000,1", "C4e08bfb4" },
        { "qCRC:1000,0", "Cffffffff" },
        { "qCRC:0,1", "E.no memory at 0x0" },
        { "g", "00001020" + "00002000" + "00000031" + "xxxx" },
        { "p0", "00001020" },
        { "p3", "xxxx" },
        { "p4", "E.malformed packet; expected p REGISTER, with a register of target.xml" },
        { "pffffffffffffffff", "E.malformed packet; expected p REGISTER, with a register of target.xml" },
        { "P1=deadbeef", "OK" },
        { "P1=deadbe", "E.malformed packet; expected P REGISTER=VALUE, where sp has 4 bytes" },
        { "P9=deadbeef", "E.malformed packet; expected P REGISTER=VALUE, with a register of target.xml" },
        { "G0000aaaa0000bbbb", "OK" },
        { "Gxxxxxxxx0000bbbb", "OK" },
        { "G0000aaaa0000bb", "E.malformed packet; expected G VALUES: sp is cut or not hexadecimal" },
        { "G", "E.malformed packet; expected G VALUES of 14 bytes or fewer" },
        { "G0000aaaa0000bbbb00000000ffff00", "E.malformed packet; expected G VALUES of 14 bytes or fewer" },
        { "?", "T05thread:1;00:00001020;" },
        { "c", null },
        { "c1234", null },
        { "czz", "E.malformed packet; expected c [ADDRESS]" },
        { "C05", null },
        { "C05;1234", null },
        { "C5", "E.malformed packet; expected C SIGNAL[;ADDRESS]" },
        { "s", null },
        { "S05", null },
        { "vCont?", "vCont;c;C;s;S;t;r" },
        { "vCont;c", null },
        { "vCont;s:1;c", null },
        { "vCont;C05:p1.2;c:p1.-1", null },
        { "vCont;t", "T05thread:1;00:00001020;" },
        { "vCont", "E.malformed packet; expected vCont;ACTION[:THREAD]... with the actions c C s S t r" },
        { "vCont;", "E.malformed packet; expected vCont;ACTION[:THREAD]... with the actions c C s S t r" },
        { "vCont;q", "E.malformed packet; expected vCont;ACTION[:THREAD]... with the actions c C s S t r" },
        { "vCont;c:", "E.malformed packet; expected vCont;ACTION[:THREAD]... with the actions c C s S t r" },
        { "vCont;s:9", "E.there is no thread 9" },
        { "vCtrlC", "OK" },
        { "D", "OK" },
        { "k", null },
        { "Z0,1000,1", "OK" },
        { "Z4,1000,8", "OK" },
        { "z1,1000,1", "OK" },
        { "Z2,1000,0", "E.malformed packet; expected Z TYPE,ADDRESS,KIND: a watchpoint of no bytes" },
        { "Z5,1000,1", "" },
        { "Z0,1000", "E.malformed packet; expected Z TYPE,ADDRESS,KIND" },
        { "Z0,1000,1;X1,22", "E.agent expression: byte 0: Const8 is cut" },
        { "Z0,1000,1;X3,220127", "OK" },
        { "Z0,1000,1;cmds:0,X3,220127", "E.this process takes no commands of breakpoints; 'set dprintf-style gdb' keeps them in the debugger" },
        { "Hg2", "OK" },
        { "Hg-1", "OK" },
        { "Hc0", "OK" },
        { "Hgp1.2", "OK" },
        { "Hg9", "E.there is no thread 9" },
        { "Hg", "E.malformed packet; expected H OPERATION THREAD" },
        { "H", "E.malformed packet; expected H OPERATION THREAD" },
        { "T2", "OK" },
        { "T3", "E.there is no thread 3" },
        { "Tzz", "E.malformed packet; expected T THREAD" },
        { "qC", "QC1" },
        { "qfThreadInfo", "m1,2" },
        { "qsThreadInfo", "m1,2" },
        { "qThreadExtraInfo,1", Hex("cpu <0>: running") },
        { "qThreadExtraInfo,2", Hex("cpu 1") },
        { "qThreadExtraInfo,3", "E.there is no thread 3" },
        { "qThreadExtraInfo", "E.malformed packet; expected qThreadExtraInfo,THREAD" },
        { "qAttached", "1" },
        { "qAttached:1", "1" },
        { "qXfer:features:read:target.xml:0,5", "m<?xml" },
        { "qXfer:features:read:target.xml:5,8", "m version" },
        { "qXfer:features:read:other.xml:0,5", "E.the only annex is target.xml" },
        { "qXfer:features:read:target.xml:ffffffff,5", "E.offset 0xffffffff is behind the end" },
        { "qXfer:features:read:target.xml:0", "E.malformed packet; expected qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH" },
        { "qXfer:threads:read::0,1000", "l<?xml version=\"1.0\"?>\n<threads>\n  <thread id=\"1\" name=\"cpu &lt;0&gt;\" core=\"0\">running</thread>\n  <thread id=\"2\" name=\"cpu 1\" core=\"1\"></thread>\n</threads>\n" },
        { "qXfer:threads:read:x:0,1000", "E.threads have no annex" },
        { "qSupported", "PacketSize=20000;QStartNoAckMode+;qXfer:features:read+;qXfer:threads:read+;vContSupported+;swbreak+;hwbreak+;binary-upload+;error-message+;multiprocess+;QNonStop+;QPassSignals+" },
        { "qSupported:multiprocess+;swbreak+;;xmlRegisters=i386", "PacketSize=20000;QStartNoAckMode+;qXfer:features:read+;qXfer:threads:read+;vContSupported+;swbreak+;hwbreak+;binary-upload+;error-message+;multiprocess+;QNonStop+;QPassSignals+" },
        { "QStartNoAckMode", "OK" },
        { "vMustReplyEmpty", "" },
        { "qRcmd,zz", "E.malformed packet; expected qRcmd,COMMAND" },
        { "qRcmd", "E.malformed packet; expected qRcmd,COMMAND" },
        { "qHostInfo", "triple:" + Hex("toy-none-none") + ";endian:big;ptrsize:4;" },
        { "qProcessInfo", "pid:1;triple:" + Hex("toy-none-none") + ";endian:big;ptrsize:4;" },
        { "QThreadSuffixSupported", "OK" },
        { "QListThreadsInStopReply", "OK" },
        { "QEnableErrorStrings", "OK" },
        { "qThreadStopInfo1", "T05thread:1;00:00001020;" },
        { "qThreadStopInfo2", "T00thread:2;00:00003333;" },
        { "qThreadStopInfo9", "E.there is no thread 9" },
        { "vCont;r1000,1010:1;c", null },
        { "vCont;r1000:1", "E.malformed packet; expected vCont;ACTION[:THREAD]... with the actions c C s S t r" },
        { "vKill;1", "OK" },
        { "vKill;2", "E.process 2 is not attached" },
        { "vKill", "E.malformed packet; expected vKill;PROCESS" },
        { "D;1", "OK" },
        { "D;2", "E.process 2 is not attached" },
        { "bc", "" },
        { "bs", "" },
        { "QNonStop:1", "OK" },
        { "QNonStop:2", "E.malformed packet; expected QNonStop:0 or QNonStop:1" },
        { "vStopped", "OK" },
        { "QPassSignals:e;10;14", "OK" },
        { "QPassSignals:zz", "E.malformed packet; expected QPassSignals:SIGNAL;..." },
        { "!", "OK" },
        { "vAttach;2", "" },
        { "qOffsets", "" },
        { "qSymbol::", "OK" },
        { "qMemoryRegionInfo:1000", "" },
        { "qRegisterInfo0", "name:pc;bitsize:32;offset:0;encoding:uint;format:hex;set:general;generic:pc;" },
        { "qRegisterInfo3", "name:unknown;bitsize:16;offset:12;encoding:uint;format:hex;set:system;" },
        { "qRegisterInfo4", "E.no more registers" },
        { "QSaveRegisterState", "1" },
        { "QRestoreRegisterState:1", "E.no registers are kept under 1" },
        { "qXfer:exec-file:read::0,10", "E.there is no file of the program" },
        { "qXfer:memory-map:read::0,10", "" },
        { "qXfer:osdata:read:processes:0,10", "E.there is no such table; 'info os' lists them" },
        { "qXfer:vmcoreinfo:read::0,10", "" },
        { "qqemu.Supported", "" },
        { "qqemu.PhyMemMode", "" },
        { "Qqemu.PhyMemMode:1", "" },
        { "qqemu.sstepbits", "" },
        { "qqemu.sstep", "" },
        { "Qqemu.sstep=1", "" },
        { "vFile:open:2f61,0,0", "F-1,2" },
        { "vFile:setfs:0", "F0" },
        { "vFile:pread:0,10,0", "F-1,9" },
        { "vFile:close:0", "F-1,9" },
        { "vFile:fstat:0", "F-1,9" },
        { "vFile:exists:2f61", "F,0" },
        { "jThreadsInfo", "[{\"tid\":1,\"name\":\"cpu \\u003C0\\u003E\",\"signal\":5,\"reason\":\"trace\",\"registers\":{\"0\":\"00001020\"}},{\"tid\":2,\"name\":\"cpu 1\",\"reason\":\"none\",\"registers\":{\"0\":\"00003333\"}}]" },
        { "jThreadExtendedInfo:{\"thread\":2}", "{\"thread\":2,\"name\":\"cpu 1\",\"state\":\"\",\"core\":1}" },
        { "jThreadExtendedInfo:{\"thread\":3}", "E.there is no thread 3" },
        { "jThreadExtendedInfo:{", "E.malformed packet; expected jThreadExtendedInfo:{\"thread\":THREAD}".Replace('}', ' ') },
        { "", "" },
        { "\xff\xfe", "" },
        { "qSupportedX", "" },
        { "vContX", "" },
        { "qCX", "" },
    };

    [Theory]
    [MemberData(nameof(Exchanges))]
    public void A_packet_gets_its_reply(string packet, string? reply)
    {
        var conversation = Fresh();
        Assert.Equal(reply, conversation.Ask(packet));
    }

    [Fact]
    public void Every_packet_of_the_menu_has_a_row_above()
    {
        var shown = new HashSet<string> { "qRcmd" };
        foreach (TheoryDataRow<string, string?> row in Exchanges)
        {
            if (PacketTable.Find(Encoding.Latin1.GetBytes(row.Data.Item1)) is { } entry)
            {
                shown.Add(entry.Name);
            }
        }

        shown.UnionWith(RichTests.Exchanges.Select(row => PacketTable.Find(Encoding.Latin1.GetBytes(row.Data.Item1))?.Name ?? ""));
        Assert.Empty(PacketTable.Entries.Where(entry => !shown.Contains(entry.Name)).Select(entry => entry.Name));
    }

    [Fact]
    public void No_packet_is_on_the_menu_twice() =>
        Assert.Equal(PacketTable.Entries.Length, PacketTable.Entries.Select(entry => entry.Name).Distinct().Count());

    [Fact]
    public void The_document_names_every_packet_of_the_menu()
    {
        using Stream? stream = typeof(PacketTests).Assembly.GetManifestResourceStream("rsp.md");
        Assert.NotNull(stream);
        string document = new StreamReader(stream).ReadToEnd();
        Assert.Empty(PacketTable.Entries.Where(entry => !document.Contains($"`{entry.Name}", StringComparison.Ordinal)).Select(entry => entry.Name));
    }

    [Fact]
    public void What_was_written_is_read_back()
    {
        var conversation = Fresh();
        conversation.Ask("M1000,3:c0ffee");
        Assert.Equal("c0ffee03", conversation.Ask("m1000,4"));
        conversation.Ask("X1001,2:}\x03}\x04");
        Assert.Equal("c0232403", conversation.Ask("m1000,4"));
        conversation.Ask("Hg2");
        conversation.Ask("P1=deadbeef");
        Assert.Equal("deadbeef", conversation.Ask("p1"));
        Assert.Equal("00003333deadbeef00000000xxxx", conversation.Ask("g"));
        conversation.Ask("Hg1");
        Assert.Equal("00002000", conversation.Ask("p1"));
    }

    [Fact]
    public void Bytes_are_found_across_the_windows_of_a_search()
    {
        // The window of a search is 10000h bytes: the toy's memory is just one, so the pattern lies across its end for
        // a search that starts one byte in and whose second read begins with the pattern's tail.
        var conversation = Fresh();
        "needle"u8.CopyTo(conversation.Target.Memory.AsSpan(0xFFFA));
        Assert.Equal("1,10ffa", conversation.Ask("qSearch:memory:1000;10000;needle"));
        Assert.Equal("0", conversation.Ask("qSearch:memory:1000;ffff;needle"));
    }

    [Theory]
    [InlineData("c", "resume 1:Continue:0 2:Continue:0")]
    [InlineData("C06", "resume 1:Continue:6 2:Continue:6")]
    [InlineData("s", "resume 1:Step:0 2:Stay:0")]
    [InlineData("Hc2|s", "resume 1:Stay:0 2:Step:0")]
    [InlineData("Hc2|c", "resume 1:Stay:0 2:Continue:0")]
    [InlineData("vCont;c", "resume 1:Continue:0 2:Continue:0")]
    [InlineData("vCont;s:2;c", "resume 1:Continue:0 2:Step:0")]
    [InlineData("vCont;S06:1;c:1", "resume 1:Step:6 2:Stay:0")]
    [InlineData("vCont;t:2;c", "resume 1:Continue:0 2:Stay:0")]
    [InlineData("vCont;c:-1", "resume 1:Continue:0 2:Continue:0")]
    [InlineData("Z3,1010,4", "insert Read 1010 4")]
    [InlineData("z0,1010,1", "remove Software 1010 1")]
    public void The_target_is_told(string packets, string call)
    {
        var conversation = Fresh();
        foreach (string packet in packets.Split('|'))
        {
            conversation.Ask(packet);
        }

        Assert.Equal([call], conversation.Target.Calls);
    }

    [Fact]
    public void Continuing_elsewhere_moves_the_program_counter_in_target_byte_order()
    {
        var conversation = Fresh();
        conversation.Ask("c12345678");
        Assert.Equal([0x12, 0x34, 0x56, 0x78], conversation.Target.Values[(1, 0)]);
    }

    [Theory]
    [InlineData(StopReason.Signal, 6, "", "T06thread:2;00:00003333;")]
    [InlineData(StopReason.SoftwareBreakpoint, 5, "", "T05thread:2;00:00003333;")]
    [InlineData(StopReason.SoftwareBreakpoint, 5, "swbreak+", "T05thread:2;swbreak:;00:00003333;")]
    [InlineData(StopReason.HardwareBreakpoint, 5, "hwbreak+", "T05thread:2;hwbreak:;00:00003333;")]
    [InlineData(StopReason.WriteWatchpoint, 5, "", "T05thread:2;watch:1010;00:00003333;")]
    [InlineData(StopReason.ReadWatchpoint, 5, "", "T05thread:2;rwatch:1010;00:00003333;")]
    [InlineData(StopReason.AccessWatchpoint, 5, "", "T05thread:2;awatch:1010;00:00003333;")]
    [InlineData(StopReason.Exited, 3, "", "W03")]
    public void A_stop_is_told_with_its_reason(StopReason reason, byte signal, string features, string reply)
    {
        var conversation = Fresh();
        conversation.Ask("qSupported:" + features);
        Assert.Null(conversation.Ask("c"));
        conversation.Target.Report(new StopReport(2, reason, signal, 0x1010));
        Assert.Equal([reply], Conversation.Payloads(conversation.Stops()));
        Assert.Equal(reason == StopReason.Exited ? SessionState.Closed : SessionState.Idle, conversation.Session.State);
    }

    [Theory]
    [InlineData("c")]
    [InlineData("s")]
    [InlineData("c1234")]
    [InlineData("vCont;c")]
    [InlineData("vCont;s:1")]
    public void A_target_that_cannot_run_says_why(string packet)
    {
        var conversation = new Conversation(new FakeTarget { CanRun = false });
        Assert.Equal("E.the toy cannot Run", conversation.Ask(packet));
        Assert.Equal(SessionState.Idle, conversation.Session.State);
        Assert.Equal("", conversation.Ask("Z0,1000,1"));
    }

    [Theory]
    [InlineData("M1000,1:00")]
    [InlineData("X1000,1:a")]
    [InlineData("P0=00000000")]
    [InlineData("G00000000")]
    public void A_target_that_cannot_be_written_says_why(string packet) =>
        Assert.Equal("E.the toy cannot Write", new Conversation(new FakeTarget { CanWrite = false }).Ask(packet));

    [Fact]
    public void Monitor_output_comes_in_pieces_and_ends_in_OK()
    {
        var conversation = Fresh();
        conversation.Ask("Hg2");
        Assert.Equal(["O" + Hex("hello on 2\n"), "OK"], Conversation.Payloads(conversation.Send(Conversation.Frame("qRcmd," + Hex("hello")))));

        List<string> pieces = Conversation.Payloads(conversation.Send(Conversation.Frame("qRcmd," + Hex("long"))));
        Assert.Equal("OK", pieces[^1]);
        Assert.Equal(string.Concat(Enumerable.Repeat("78", 20000)), string.Concat(pieces.SkipLast(1).Select(piece => piece[1..])));
    }

    [Fact]
    public void Errors_carry_their_text_where_the_client_takes_it()
    {
        var conversation = Fresh();
        Assert.Equal("E0e", conversation.Ask("m0,4"));
        conversation.Ask("qSupported:error-message+");
        Assert.Equal("E.no memory at 0x0", conversation.Ask("m0,4"));

        var lldb = Fresh();
        lldb.Ask("QThreadSuffixSupported");
        Assert.Equal("E03", lldb.Ask("T9"));
        lldb.Ask("QEnableErrorStrings");
        Assert.Equal("E03;" + Hex("there is no thread 9"), lldb.Ask("T9"));
    }

    [Fact]
    public void Lldb_names_the_thread_behind_register_packets()
    {
        var conversation = Fresh();
        Assert.StartsWith("E", conversation.Ask("p0;thread:2;"));
        conversation.Ask("QThreadSuffixSupported");
        Assert.Equal("00003333", conversation.Ask("p0;thread:2;"));
        Assert.Equal("000033330000444400000000xxxx", conversation.Ask("g;thread:0002;"));
        Assert.Equal("OK", conversation.Ask("P0=01020304;thread:2;"));
        Assert.Equal([1, 2, 3, 4], conversation.Target.Values[(2, 0)]);
        Assert.Equal("E16", conversation.Ask("p0;thread:9;"));
        Assert.Equal("E05", conversation.Ask("p3;thread:2;"));
        conversation.Ask("QListThreadsInStopReply");
        Assert.Equal("T05thread:1;reason:trace;threads:1,2;00:00001020;", conversation.Ask("?"));
    }

    [Fact]
    public void Lldb_reads_binary_without_a_prefix_after_its_probe()
    {
        var conversation = Fresh();
        conversation.Ask("QThreadSuffixSupported");
        Assert.Equal("OK", conversation.Ask("x0,0"));
        Assert.Equal("\x00\x01\x02", conversation.Ask("x1000,3"));
    }

    [Fact]
    public void The_thread_list_is_told_once()
    {
        var conversation = Fresh();
        Assert.Equal("m1,2", conversation.Ask("qfThreadInfo"));
        Assert.Equal("l", conversation.Ask("qsThreadInfo"));
        Assert.Equal("m1,2", conversation.Ask("qfThreadInfo"));
    }

    [Fact]
    public void The_description_is_read_in_pieces()
    {
        var conversation = Fresh();
        var xml = new StringBuilder();
        string piece;
        do
        {
            piece = conversation.Ask($"qXfer:features:read:target.xml:{xml.Length:x},40")!;
            xml.Append(piece[1..]);
        }
        while (piece[0] == 'm');

        string text = xml.ToString();
        Assert.Contains("<architecture>toy</architecture>", text, StringComparison.Ordinal);
        Assert.Contains("<flags id=\"toy_flags\" size=\"4\">", text, StringComparison.Ordinal);
        Assert.Contains("<field name=\"MODE\" start=\"4\" end=\"7\"/>", text, StringComparison.Ordinal);
        Assert.Contains("<reg name=\"unknown\" bitsize=\"16\" type=\"int\" regnum=\"3\" group=\"system\"/>", text, StringComparison.Ordinal);
        System.Xml.Linq.XDocument.Parse(text.Replace("<!DOCTYPE target SYSTEM \"gdb-target.dtd\">", "", StringComparison.Ordinal));
    }

    [Fact]
    public void A_target_that_throws_costs_one_packet()
    {
        var conversation = Fresh();
        conversation.Target.Failure = new InvalidDataException("the disk is gone");
        Assert.Equal("E05", conversation.Ask("m1000,4"));
        Assert.Equal("E.internal error: the disk is gone", conversation.Ask("qCRC:1000,4"));
        conversation.Target.Failure = null;
        Assert.Equal("00010203", conversation.Ask("m1000,4"));
    }

    internal static string Hex(string text) => Convert.ToHexStringLower(Encoding.UTF8.GetBytes(text));

    private static Conversation Fresh()
    {
        var conversation = new Conversation();
        for (int i = 0; i < conversation.Target.Memory.Length; i++)
        {
            conversation.Target.Memory[i] = (byte)i;
        }

        return conversation;
    }
}
