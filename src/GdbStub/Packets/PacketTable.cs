namespace GdbStub.Packets;

/// <summary>
/// The menu of the protocol: every packet that is answered. Handlers stand in the files named after the groups. The longest
/// name that matches wins.
/// </summary>
internal static class PacketTable
{
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
        new("qMemoryRegionInfo", LldbPackets.MemoryRegion, "what is mapped at an address (lldb)"),

        // Registers
        new("g", RegisterPackets.ReadAll, "read all registers"),
        new("G", RegisterPackets.WriteAll, "write all registers"),
        new("p", RegisterPackets.Read, "read one register"),
        new("P", RegisterPackets.Write, "write one register"),
        new("qRegisterInfo", LldbPackets.Register, "describe one register (lldb)", Bare: true),
        new("QSaveRegisterState", LldbPackets.SaveRegisters, "keep all registers (lldb)"),
        new("QRestoreRegisterState", LldbPackets.RestoreRegisters, "bring kept registers back (lldb)"),

        // Resume
        new("?", ResumePackets.WhyStopped, "why it stands still", Allowed.Detached),
        new("c", ResumePackets.Continue, "continue"),
        new("C", ResumePackets.ContinueWithSignal, "continue with a signal"),
        new("s", ResumePackets.Step, "execute one instruction"),
        new("S", ResumePackets.StepWithSignal, "execute one instruction with a signal"),
        new("vCont?", ResumePackets.ListActions, "actions vCont takes", Allowed.Detached),
        new("vCont", ResumePackets.Threads, "tell each thread what to do", Allowed.Moving),
        new("vCtrlC", ResumePackets.Interrupt, "stop, as a packet", Allowed.Always),
        new("D", ResumePackets.Detach, "leave; the target runs on", Allowed.Always),
        new("k", ResumePackets.Kill, "leave; a target outlives its debuggers", Allowed.Always, Silent: true),
        new("vKill", ResumePackets.KillProcess, "as k, with a process", Allowed.Always),
        new("bc", ResumePackets.ContinueBack, "continue backwards"),
        new("bs", ResumePackets.StepBack, "step backwards"),
        new("QNonStop", ResumePackets.NonStop, "let threads run while others stand still", Allowed.Detached),
        new("vStopped", ResumePackets.NextStop, "next stop of non-stop mode", Allowed.Detached),
        new("QPassSignals", ResumePackets.PassSignals, "signals the debugger need not see", Allowed.Detached),

        // Breakpoints
        new("Z", BreakpointPackets.Insert, "set a breakpoint or watchpoint"),
        new("z", BreakpointPackets.Remove, "take one away"),

        // Threads
        new("H", ThreadPackets.Select, "thread of the packets that follow", Allowed.Detached),
        new("T", ThreadPackets.IsAlive, "does a thread exist", Allowed.Detached),
        new("qC", ThreadPackets.Current, "the current thread", Allowed.Moving),
        new("qfThreadInfo", ThreadPackets.ListFirst, "list of threads", Allowed.Detached),
        new("qsThreadInfo", ThreadPackets.ListNext, "rest of the list", Allowed.Detached),
        new("qThreadExtraInfo", ThreadPackets.Describe, "a thread in words", Allowed.Moving),
        new("qAttached", ThreadPackets.Attached, "was the target there before us", Allowed.Detached),

        // Transfers
        new("qXfer:features:read:", TransferPackets.Features, "target.xml", Allowed.Moving),
        new("qXfer:threads:read:", TransferPackets.Threads, "threads as XML", Allowed.Detached),
        new("qXfer:exec-file:read:", TransferPackets.ExecutableFile, "name of the program", Allowed.Moving),
        new("qXfer:memory-map:read:", TransferPackets.MemoryMap, "RAM and ROM", Allowed.Moving),
        new("qXfer:osdata:read:", TransferPackets.SystemData, "tables of the guest and the store", Allowed.Detached),
        new("qXfer:", TransferPackets.Named, "objects of the target by name, such as vmcoreinfo"),

        // Queries
        new("qSupported", QueryPackets.Supported, "what each side can do", Allowed.Detached),
        new("QStartNoAckMode", QueryPackets.StartNoAcknowledgements, "no more acknowledgements", Allowed.Detached),
        new("vMustReplyEmpty", QueryPackets.MustReplyEmpty, "probe for stubs that mishandle unknown packets", Allowed.Always),
        new("qSymbol", QueryPackets.Symbol, "addresses of symbols, from the debugger"),
        new("qOffsets", QueryPackets.Offsets, "where the program was relocated to", Allowed.Moving),

        // Processes
        new("!", ProcessPackets.Extend, "extended mode: choose among processes", Allowed.Detached),
        new("vAttach", ProcessPackets.Attach, "open a process", Allowed.Detached),

        // Qemu
        new("qqemu.Supported", QemuPackets.Supported, "which of these there are"),
        new("qqemu.PhyMemMode", QemuPackets.PhysicalMode, "do memory packets take physical addresses"),
        new("Qqemu.PhyMemMode", QemuPackets.SetPhysicalMode, "let them"),
        new("qqemu.sstepbits", QemuPackets.StepBits, "what could be masked while stepping"),
        new("qqemu.sstep", QemuPackets.Step, "what is"),
        new("Qqemu.sstep", QemuPackets.SetStep, "mask it", Bare: true),

        // Files
        new("vFile:open:", FilePackets.Open, "open a virtual file"),
        new("vFile:close:", FilePackets.Close, "close it"),
        new("vFile:pread:", FilePackets.Read, "read from it", Allowed.Moving),
        new("vFile:pwrite:", FilePackets.Refuse, "refused: the files are read-only", Allowed.Moving),
        new("vFile:fstat:", FilePackets.Status, "size and kind", Allowed.Moving),
        new("vFile:stat:", FilePackets.StatusByName, "the same by name"),
        new("vFile:lstat:", FilePackets.StatusByName, "the same"),
        new("vFile:unlink:", FilePackets.Refuse, "refused", Allowed.Moving),
        new("vFile:readlink:", FilePackets.ReadLink, "where a link leads"),
        new("vFile:setfs:", FilePackets.SetProcess, "whose files; all processes see the same", Allowed.Detached),
        new("vFile:size:", FilePackets.Size, "size by name (lldb)"),
        new("vFile:exists:", FilePackets.Exists, "is there such a file (lldb)"),
        new("vFile:mode:", FilePackets.Mode, "its permissions (lldb)"),

        // Monitor
        new("qRcmd", MonitorPackets.Execute, "a command of the target's own"),

        // Lldb
        new("qHostInfo", LldbPackets.HostInfo, "triple, so that lldb hunts for no Darwin kernel"),
        new("qProcessInfo", LldbPackets.ProcessInfo, "process and triple"),
        new("QThreadSuffixSupported", LldbPackets.ThreadSuffix, "register packets name their thread", Allowed.Detached),
        new("QListThreadsInStopReply", LldbPackets.ListThreadsInStop, "stop replies list the threads", Allowed.Detached),
        new("QEnableErrorStrings", LldbPackets.ErrorStrings, "errors carry text, lldb's way", Allowed.Detached),
        new("qThreadStopInfo", LldbPackets.ThreadStop, "why one thread stands still", Bare: true),
        new("jThreadsInfo", LldbPackets.AllThreads, "all threads with registers"),
        new("jThreadExtendedInfo", LldbPackets.OneThread, "more of one thread"),
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
