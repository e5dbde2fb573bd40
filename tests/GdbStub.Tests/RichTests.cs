using CsCheck;
using GdbStub.Targets;

namespace GdbStub.Tests;

/// <summary>What a session answers for a target that offers everything.</summary>
public sealed class RichTests
{
    private const string Stop = "T05thread:1;00:00001020;";

    /// <summary>One packet, one reply, against a fresh one.</summary>
    public static TheoryData<string, string?> Exchanges => new()
    {
        { "qSupported", "PacketSize=20000;QStartNoAckMode+;qXfer:features:read+;qXfer:threads:read+;vContSupported+;swbreak+;hwbreak+;binary-upload+;error-message+;multiprocess+;QNonStop+;QPassSignals+;ConditionalBreakpoints+;BreakpointCommands+;ReverseContinue+;ReverseStep+;qXfer:memory-map:read+;qXfer:exec-file:read+;qXfer:osdata:read+;qXfer:vmcoreinfo:read+" },
        { "Z0,1000,1;X3,220127", "OK" },
        { "Z0,1000,1;X3,220127X3,220027", "OK" },
        { "Z0,1000,1;X3,220127;X3,220027", "OK" },
        { "Z1,1000,1;cmds:0,X3,220127", "OK" },
        { "Z0,1000,1;X3,220127;cmds:1,X3,220127", "OK" },
        { "Z0,1000,1;X3,2201", "E.malformed packet; expected Z TYPE,ADDRESS,KIND[;X LENGTH,BYTECODE...][;cmds:PERSIST,X LENGTH,BYTECODE...]" },
        { "Z0,1000,1;Xffffffffffffffff,2201", "E.malformed packet; expected Z TYPE,ADDRESS,KIND[;X LENGTH,BYTECODE...][;cmds:PERSIST,X LENGTH,BYTECODE...]" },
        { "Z0,1000,1;X1,22", "E.agent expression: byte 0: Const8 is cut" },
        { "Z0,1000,1;cmds:", "E.malformed packet; expected Z TYPE,ADDRESS,KIND[;X LENGTH,BYTECODE...][;cmds:PERSIST,X LENGTH,BYTECODE...]" },
        { "Z2,1000,1;X3,220127", "E.only breakpoints have conditions and commands here; keep a watchpoint's in the debugger" },
        { "qSearch:memory:1000;100;\x05\x06", "1,1005" },
        { "qSearch:memory:1000;100;\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", "1,1006" },
        { "qSearch:memory:1000;6;\x05\x06", "0" },
        { "qSearch:memory:10f00;200;zz", "E.no memory at 0x11000" },
        { "qCRC:1000,1", "C4e08bfb4" },
        { "x1000,14", "b\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13" },
        { "x10fff,4", "b\xff" },
        { "x0,4", "E0e" },
        { "bc", null },
        { "bs", null },
        { "qXfer:memory-map:read::0,1000", "l<?xml version=\"1.0\"?>\n<memory-map>\n  <memory type=\"ram\" start=\"0x0\" length=\"0x10000\"/>\n  <memory type=\"rom\" start=\"0x10000\" length=\"0x10000\"/>\n</memory-map>\n" },
        { "qXfer:exec-file:read::0,100", "l/toy/program" },
        { "qXfer:exec-file:read:1:0,5", "m/toy/" },
        { "qXfer:exec-file:read:2:0,5", "E.there is no file of the program" },
        { "qXfer:osdata:read:tasks:0,1000", "l<?xml version=\"1.0\"?>\n<osdata type=\"tasks\">\n  <item><column name=\"pid\">1</column><column name=\"name\">init </column></item>\n</osdata>\n" },
        { "qXfer:osdata:read:none:0,1000", "E.there is no such table; 'info os' lists them" },
        { "qXfer:vmcoreinfo:read::0,100", "lOSRELEASE=toy\n" },
        { "qXfer:vmcoreinfo:read::4,3", "mLEA" },
        { "qXfer:vmcoreinfo:read:x:0,100", "E.there is no such annex" },
        { "qXfer:vmcoreinfo:write::0:x", "" },
        { "qXfer:auxv:read::0,100", "" },
        { "qOffsets", "TextSeg=4000" },
        { "qSymbol::", "qSymbol:" + PacketTests.Hex("start") },
        { "qSymbol:1234:" + PacketTests.Hex("start"), "qSymbol:" + PacketTests.Hex("end") },
        { "qSymbol::" + PacketTests.Hex("end"), "OK" },
        { "qSymbol:zz", "E.malformed packet; expected qSymbol:[VALUE]:[NAME]" },
        { "vAttach;1", "E.process 1 is attached already" },
        { "vAttach;3", "E.archive 3 is damaged" },
        { "vAttach;9", "E.there is no process 9" },
        { "vAttach;0", "E.malformed packet; expected vAttach;PROCESS" },
        { "qqemu.Supported", "sstepbits;sstep;PhyMemMode" },
        { "qqemu.sstepbits", "ENABLE=1,NOIRQ=2" },
        { "qqemu.sstep", "0x1" },
        { "Qqemu.sstep=0x3", "OK" },
        { "Qqemu.sstep=7", "E.0x7 has bits that are not in 0x3" },
        { "Qqemu.sstep:7", "E.malformed packet; expected Qqemu.sstep=BITS" },
        { "qqemu.PhyMemMode", "0" },
        { "Qqemu.PhyMemMode:1", "OK" },
        { "Qqemu.PhyMemMode:2", "E.malformed packet; expected Qqemu.PhyMemMode:0 or Qqemu.PhyMemMode:1" },
        { "vFile:open:" + PacketTests.Hex("/toy/program") + ",0,1c0", "F0" },
        { "vFile:open:" + PacketTests.Hex("/toy/program") + ",1,1c0", "F-1,1e" },
        { "vFile:open:" + PacketTests.Hex("/etc/passwd") + ",0,0", "F-1,2" },
        { "vFile:open:zz,0,0", "F-1,16" },
        { "vFile:pwrite:0,0,x", "F-1,1e" },
        { "vFile:unlink:2f", "F-1,1e" },
        { "vFile:readlink:" + PacketTests.Hex("/toy/link"), "Fc;/toy/program" },
        { "vFile:readlink:2f", "F-1,2" },
        { "vFile:size:" + PacketTests.Hex("/toy/program"), "F12c" },
        { "vFile:exists:" + PacketTests.Hex("/toy/program"), "F,1" },
        { "vFile:mode:" + PacketTests.Hex("/toy/program"), "F8124" },
        { "vFile:lstat:2f", "F-1,2" },
        { "vFile:stat:2f", "F-1,2" },
        { "vFile:fstat:ffffffffffffffff", "F-1,9" },
        { "qMemoryRegionInfo:", "OK" },
        { "qMemoryRegionInfo", "OK" },
        { "qMemoryRegionInfo:0", "start:0;size:1000;" },
        { "qMemoryRegionInfo:1234", "start:1000;size:10000;permissions:rw;name:746f79;dirty-pages:3000,5000;" },
        { "qMemoryRegionInfo:ffffffffffffffff", "start:11000;size:fffffffffffef000;" },
        { "qHostInfo", "triple:" + PacketTests.Hex("toy-none-none") + ";endian:big;ptrsize:4;vm-page-size:4096;" },
        { "qThreadExtraInfo,2", PacketTests.Hex("cpu 1, idle") },
        { "jThreadExtendedInfo:{\"thread\":2}", "{\"thread\":2,\"name\":\"cpu 1\",\"state\":\"\",\"core\":1,\"description\":\"idle\"}" },
    };

    [Theory]
    [MemberData(nameof(Exchanges))]
    public void A_packet_gets_its_reply(string packet, string? reply) => Assert.Equal(reply, Fresh(out _).Ask(packet));

    [Fact]
    public void A_virtual_file_is_read_in_pieces_and_closed()
    {
        Conversation conversation = Fresh(out _);
        Assert.Equal("F0", conversation.Ask("vFile:open:" + PacketTests.Hex("/toy/program") + ",0,0"));
        Assert.Equal("F4;\x20\x21\x22\x23", conversation.Ask("vFile:pread:0,4,20"));
        Assert.Equal("F4;\x28\x29\x2a\x2b", conversation.Ask("vFile:pread:0,4,128"));
        Assert.Equal("F0;", conversation.Ask("vFile:pread:0,4,12c"));
        Assert.Equal("F0;", conversation.Ask("vFile:pread:0,ffffffffffffffff,ffffffffffffffff"));

        // struct stat: mode 0100444, one link, 300 bytes, in blocks of 4096, 1 of 512.
        Assert.Equal("F40;" + new string('\0', 8) + "\0\0\x81\x24\0\0\0\x01" + new string('\0', 18) + "\x01\x2c" + "\0\0\0\0\0\0\x10\0" + "\0\0\0\0\0\0\0\x01" + new string('\0', 12),
            conversation.Ask("vFile:fstat:0"));
        Assert.Equal("F0", conversation.Ask("vFile:close:0"));
        Assert.Equal("F-1,9", conversation.Ask("vFile:pread:0,4,0"));
    }

    [Fact]
    public void Files_are_only_so_many()
    {
        Conversation conversation = Fresh(out _);
        string open = "vFile:open:" + PacketTests.Hex("/toy/program") + ",0,0";
        for (int i = 0; i < 32; i++)
        {
            Assert.Equal($"F{i:x}", conversation.Ask(open));
        }

        Assert.Equal("F-1,17", conversation.Ask(open));
    }

    [Fact]
    public void Physical_mode_is_for_memory_packets_of_this_session()
    {
        Conversation conversation = Fresh(out RichTarget target);
        Assert.Equal("OK", conversation.Ask("Qqemu.PhyMemMode:1"));
        Assert.Equal("1", conversation.Ask("qqemu.PhyMemMode"));
        Assert.Equal("eeee", conversation.Ask("m10,2"));
        Assert.Equal("b\xee\xee", conversation.Ask("x10,2"));
        Assert.Equal("OK", conversation.Ask("M10,1:ab"));
        Assert.Equal(["physical 10 AB"], target.Calls);
        Assert.Equal("OK", conversation.Ask("Qqemu.PhyMemMode:0"));
        Assert.Equal("0001", conversation.Ask("m1000,2"));
    }

    [Fact]
    public void Registers_are_kept_and_brought_back()
    {
        Conversation conversation = Fresh(out _);
        Assert.Equal("OK", conversation.Ask("QThreadSuffixSupported"));
        Assert.Equal("1", conversation.Ask("QSaveRegisterState;thread:2;"));
        conversation.Ask("P1=deadbeef;thread:2;");
        Assert.Equal("deadbeef", conversation.Ask("p1;thread:2;"));
        Assert.Equal("OK", conversation.Ask("QRestoreRegisterState:1;thread:2;"));
        Assert.Equal("00004444", conversation.Ask("p1;thread:2;"));
        Assert.Equal("E16", conversation.Ask("QRestoreRegisterState:1;thread:2;"));
    }

    [Fact]
    public void A_breakpoints_program_is_the_targets_to_ask()
    {
        Conversation conversation = Fresh(out RichTarget target);
        Assert.Equal("OK", conversation.Ask("Z0,1000,1;X3,220127;cmds:1,X3,220127"));
        Assert.Equal(["insert Software 1000 with 1 and 1"], target.Calls);
        Assert.True(target.Programs[0].Persistent);
    }

    [Fact]
    public void Text_of_a_running_target_comes_before_its_stop()
    {
        Conversation conversation = Fresh(out RichTarget target);
        target.Events!.Output("lost"u8);
        Assert.Equal("", conversation.Stops());
        Assert.Null(conversation.Ask("c"));
        target.Events!.Output("hi\n"u8);
        target.Report(new StopReport(1, StopReason.SoftwareBreakpoint, 5));
        Assert.Equal(["O68690a", Stop], Conversation.Payloads(conversation.Stops()));
    }

    [Fact]
    public void Text_that_comes_too_fast_is_dropped_and_said_so()
    {
        Conversation conversation = Fresh(out RichTarget target);
        conversation.Ask("c");
        for (int i = 0; i < 300; i++)
        {
            target.Events!.Output(new byte[1024]);
        }

        List<string> told = Conversation.Payloads(conversation.Stops());
        Assert.Equal("O" + PacketTests.Hex("[44 messages came too fast and were dropped]\n"), told[0]);
        Assert.Equal(257, told.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_range_is_stepped_through_by_whoever_can(bool targetCan)
    {
        Conversation conversation = Fresh(out RichTarget target);
        target.StepsRanges = targetCan;
        Assert.Null(conversation.Ask("vCont;r1020,1030:1;c"));
        int resumes = 1;
        foreach (byte pc in targetCan ? [] : new byte[] { 0x24, 0x2f, 0x20 })
        {
            target.Values[(1, 0)] = [0, 0, 0x10, pc];
            target.Report(new StopReport(1, StopReason.Signal, 5));
            Assert.Equal("", conversation.Stops());
            resumes++;
        }

        target.Values[(1, 0)] = [0, 0, 0x10, 0x30];
        target.Report(new StopReport(1, StopReason.Signal, 5));
        Assert.Equal(["T05thread:1;00:00001030;"], Conversation.Payloads(conversation.Stops()));
        Assert.Equal(Enumerable.Repeat("resume 1:Step:0 2:Continue:0", resumes), target.Calls);
    }

    [Theory]
    [InlineData("breakpoint in the range")]
    [InlineData("interrupted")]
    [InlineData("watchpoint")]
    [InlineData("other thread")]
    public void A_range_step_ends_for_anything_else(string why)
    {
        Conversation conversation = Fresh(out RichTarget target);
        if (why == "breakpoint in the range")
        {
            Assert.Equal("OK", conversation.Ask("Z0,1024,1"));
        }

        Assert.Null(conversation.Ask("vCont;r1020,1030:1;c"));
        target.Values[(1, 0)] = [0, 0, 0x10, 0x24];
        if (why == "interrupted")
        {
            conversation.Send("\x03");
        }

        target.Report(why switch
        {
            "watchpoint" => new StopReport(1, StopReason.WriteWatchpoint, 5, 0x1234),
            "other thread" => new StopReport(2, StopReason.Signal, 5),
            _ => new StopReport(1, StopReason.Signal, 5),
        });
        Assert.Single(Conversation.Payloads(conversation.Stops()));
    }

    [Fact]
    public void Running_backwards_ends_in_a_stop_that_says_where_history_begins()
    {
        Conversation conversation = Fresh(out RichTarget target);
        Assert.Null(conversation.Ask("bs"));
        target.Report(new StopReport(1, StopReason.HistoryBegin, 5));
        Assert.Equal(["T05thread:1;replaylog:begin;00:00001020;"], Conversation.Payloads(conversation.Stops()));
        Assert.Equal(["step back 1"], target.Calls);
    }

    /// <summary>The catalogue's check value of CRC-32/MPEG-2, over pieces of every size.</summary>
    [Fact]
    public void A_checksum_does_not_see_where_memory_is_cut()
    {
        Conversation conversation = Fresh(out RichTarget target);
        "123456789"u8.CopyTo(target.Memory);
        for (target.PeekSize = 1; target.PeekSize < 12; target.PeekSize++)
        {
            Assert.Equal("C376e6e7", conversation.Ask("qCRC:1000,9"));
        }
    }

    [Fact]
    public void Signals_to_pass_are_told_to_the_target()
    {
        Conversation conversation = Fresh(out RichTarget target);
        Assert.Equal("OK", conversation.Ask("QPassSignals:e;10"));
        Assert.Equal(["pass 0E10"], target.Calls);
    }

    [Fact]
    public void A_search_over_seams_finds_what_a_plain_search_finds()
    {
        Conversation conversation = Fresh(out RichTarget target);
        Gen.Select(Gen.Int[1, 20], Gen.Int[0, 300], Gen.Byte[0, 2].Array[1, 30], Gen.Byte[0, 2].Array[300]).Array[400].Sample(
            cases => Assert.All(cases, one =>
            {
                (int peek, int start, byte[] pattern, byte[] memory) = one;
                target.PeekSize = peek;
                memory.CopyTo(target.Memory, 0);
                int length = 300 - Math.Min(start, 299);
                start = 300 - length;
                int found = memory.AsSpan(start, length).IndexOf(pattern);
                Assert.Equal(
                    found < 0 ? "0" : $"1,{0x1000 + start + found:x}",
                    conversation.Ask($"qSearch:memory:{0x1000 + start:x};{length:x};{string.Concat(pattern.Select(value => (char)value))}"));
            }), iter: 1, threads: 1, seed: "0N0XIzNsQ0O2");
    }

    internal static Conversation Fresh(out RichTarget target)
    {
        target = new RichTarget();
        for (int i = 0; i < target.Memory.Length; i++)
        {
            target.Memory[i] = (byte)i;
        }

        var conversation = new Conversation(target);
        return conversation;
    }
}
