namespace GdbStub.Packets;

/// <summary>
/// The menu of the protocol: every packet that is answered, and, with no handler, every packet whose turn comes later.
/// Handlers stand in the files named after the groups. The longest name that matches wins.
/// </summary>
internal static class PacketTable
{
    private const PacketHandler? Later = null;

    /// <summary>The menu.</summary>
    public static readonly PacketEntry[] Entries =
    [
        // Memory
        new("m", MemoryPackets.ReadHex, "read memory as hex", Errors: ErrorStyle.Number),
        new("M", MemoryPackets.WriteHex, "write memory from hex"),
        new("x", MemoryPackets.ReadBinary, "read memory as binary", Errors: ErrorStyle.Number),
        new("X", MemoryPackets.WriteBinary, "write memory from binary"),
        new("qSearch:memory:", MemoryPackets.Search, "find bytes in memory"),
        new("qCRC:", MemoryPackets.Checksum, "checksum of memory"),
        new("qMemoryRegionInfo", Later, "what is mapped at an address (lldb)"),

        // Registers
        new("g", RegisterPackets.ReadAll, "read all registers"),
        new("G", RegisterPackets.WriteAll, "write all registers"),
        new("p", RegisterPackets.Read, "read one register"),
        new("P", RegisterPackets.Write, "write one register"),
        new("qRegisterInfo", Later, "describe one register (lldb; target.xml serves)"),
        new("QSaveRegisterState", Later, "keep all registers (lldb)"),
        new("QRestoreRegisterState", Later, "bring kept registers back (lldb)"),

        // Resume
        new("?", ResumePackets.WhyStopped, "why it stands still"),
        new("c", ResumePackets.Continue, "continue"),
        new("C", ResumePackets.ContinueWithSignal, "continue with a signal"),
        new("s", ResumePackets.Step, "execute one instruction"),
        new("S", ResumePackets.StepWithSignal, "execute one instruction with a signal"),
        new("vCont?", ResumePackets.ListActions, "actions vCont takes"),
        new("vCont", ResumePackets.Threads, "tell each thread what to do"),
        new("vCtrlC", ResumePackets.Interrupt, "stop, as a packet", Allowed.Always),
        new("D", ResumePackets.Detach, "leave; the target runs on", Allowed.Always),
        new("k", ResumePackets.Kill, "leave; a target outlives its debuggers", Allowed.Always, Silent: true),
        new("vKill", Later, "as k, with a process"),
        new("bc", Later, "continue backwards"),
        new("bs", Later, "step backwards"),
        new("QNonStop", Later, "let threads run while others stand still"),
        new("vStopped", Later, "next stop of non-stop mode"),
        new("QPassSignals", Later, "signals the debugger need not see"),
        new("QCatchSyscalls", Later, "stop at system calls"),

        // Breakpoints
        new("Z", BreakpointPackets.Insert, "set a breakpoint or watchpoint"),
        new("z", BreakpointPackets.Remove, "take one away"),

        // Threads
        new("H", ThreadPackets.Select, "thread of the packets that follow"),
        new("T", ThreadPackets.IsAlive, "does a thread exist"),
        new("qC", ThreadPackets.Current, "the current thread"),
        new("qfThreadInfo", ThreadPackets.ListFirst, "list of threads"),
        new("qsThreadInfo", ThreadPackets.ListNext, "rest of the list"),
        new("qThreadExtraInfo", ThreadPackets.Describe, "a thread in words"),
        new("qAttached", ThreadPackets.Attached, "was the target there before us"),

        // Transfers
        new("qXfer:features:read:", TransferPackets.Features, "target.xml"),
        new("qXfer:threads:read:", TransferPackets.Threads, "threads as XML"),
        new("qXfer:exec-file:read:", Later, "name of the program"),
        new("qXfer:memory-map:read:", Later, "RAM and ROM"),
        new("qXfer:osdata:read:", Later, "tables of the guest and the store"),
        new("qXfer:vmcoreinfo:read:", Later, "the kernel's VMCOREINFO (drgn)"),
        new("qXfer:libraries-svr4:read:", Later, "modules"),

        // Queries
        new("qSupported", QueryPackets.Supported, "what each side can do"),
        new("QStartNoAckMode", QueryPackets.StartNoAcknowledgements, "no more acknowledgements"),
        new("vMustReplyEmpty", QueryPackets.MustReplyEmpty, "probe for stubs that mishandle unknown packets", Allowed.Always),
        new("qSymbol", Later, "addresses of symbols, from the debugger"),
        new("qOffsets", Later, "where the program was relocated to"),
        new("!", Later, "extended mode: choose among machine and archives"),
        new("vRun", Later, "start"),
        new("vAttach", Later, "open an archive of the store"),
        new("Qqemu.PhyMemMode", Later, "memory packets take physical addresses"),
        new("qqemu.PhyMemMode", Later, "do they"),
        new("qqemu.sstep", Later, "what is masked while stepping"),
        new("qqemu.sstepbits", Later, "what could be"),
        new("Qqemu.sstep", Later, "mask it"),

        // Host I/O
        new("vFile", Later, "our own virtual files, never the host's"),

        // Monitor
        new("qRcmd", MonitorPackets.Execute, "a command of the target's own"),

        // Lldb
        new("qHostInfo", LldbPackets.HostInfo, "triple, so that lldb hunts for no Darwin kernel"),
        new("qProcessInfo", LldbPackets.ProcessInfo, "triple again"),
        new("QThreadSuffixSupported", LldbPackets.ThreadSuffix, "register packets name their thread"),
        new("QListThreadsInStopReply", LldbPackets.ListThreadsInStop, "stop replies list the threads"),
        new("QEnableErrorStrings", LldbPackets.ErrorStrings, "errors carry text, lldb's way"),
        new("qThreadStopInfo", LldbPackets.ThreadStop, "why one thread stands still", Bare: true),
        new("jThreadsInfo", Later, "all threads with registers"),
        new("jThreadExtendedInfo", Later, "more of one thread"),
    ];

    private static readonly PacketEntry[][] ByFirstByte = Index();

    /// <summary>The entry of a packet; null when it is unknown.</summary>
    public static PacketEntry? Find(ReadOnlySpan<byte> packet)
    {
        if (packet.IsEmpty || packet[0] >= ByFirstByte.Length)
        {
            return null;
        }

        foreach (PacketEntry entry in ByFirstByte[packet[0]])
        {
            if (entry.Matches(packet))
            {
                return entry;
            }
        }

        return null;
    }

    private static PacketEntry[][] Index()
    {
        var lists = new PacketEntry[128][];
        for (int first = 0; first < lists.Length; first++)
        {
            lists[first] = [.. Entries.Where(entry => entry.Name[0] == first).OrderByDescending(entry => entry.Name.Length)];
        }

        return lists;
    }
}
