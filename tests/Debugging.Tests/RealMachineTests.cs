using System.Buffers.Binary;
using System.Net;
using Debugging.Live;
using Emulator;
using Emulator.Boot;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging.Abstractions;

namespace Debugging.Tests;

/// <summary>The real machine under the protocol: interrupts from its timer, and forks of an image of it.</summary>
public sealed class RealMachineTests
{
    private const ulong Start = 0x7C00;

    // Ticks of counter 0 come every 4 × 838 ns; an instruction is one nanosecond.
    private static readonly byte[] Ticking =
    [
        0xFA,                               // 00 cli
        0x31, 0xC0, 0x8E, 0xD8, 0x8E, 0xD0, // 01 xor ax,ax; mov ds,ax; mov ss,ax
        0xBC, 0x00, 0x7C,                   // 07 mov sp,7C00h
        0xC7, 0x06, 0x20, 0x00, 0x28, 0x7C, // 0A mov word [20h],handler
        0xC7, 0x06, 0x22, 0x00, 0x00, 0x00, // 10 mov word [22h],0
        0xB0, 0x34, 0xE6, 0x43,             // 16 mov al,34h; out 43h,al
        0xB0, 0x04, 0xE6, 0x40,             // 1A mov al,4; out 40h,al
        0xB0, 0x00, 0xE6, 0x40,             // 1E mov al,0; out 40h,al
        0xFB,                               // 22 sti
        0x66, 0x41, 0x90, 0xEB, 0xFB,       // 23 inc ecx; nop; jmp 23
        0x50, 0xFF, 0x06, 0x00, 0x05,       // 28 handler: push ax; inc word [500h]
        0xB0, 0x20, 0xE6, 0x20, 0x58, 0xCF, // 2D mov al,20h; out 20h,al; pop ax; iret
    ];

    // A loop in another segment, copied there first: es = ds = 1000h, [0] = inc ecx; nop; jmp 0.
    private static readonly byte[] Elsewhere =
    [
        0xB8, 0x00, 0x10, 0x8E, 0xC0,             // 00 mov ax,1000h; mov es,ax
        0x31, 0xFF,                               // 05 xor di,di
        0x26, 0xC7, 0x05, 0x66, 0x41,             // 07 mov word es:[di],4166h
        0x26, 0xC7, 0x45, 0x02, 0x90, 0xEB,       // 0C mov word es:[di+2],EB90h
        0x26, 0xC6, 0x45, 0x04, 0xFB,             // 12 mov byte es:[di+4],FBh
        0xEA, 0x00, 0x00, 0x00, 0x10,             // 17 jmp 1000h:0
    ];

    private static readonly byte[] Printing =
    [
        0xBA, 0xF8, 0x03,                   // 00 mov dx,3F8h
        0xB0, 0x48, 0xEE, 0xB0, 0x0A, 0xEE, // 03 mov al,'H'; out dx,al; mov al,10; out dx,al
        0x66, 0x41, 0x90, 0xEB, 0xFB,       // 09 inc ecx; nop; jmp 09
    ];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Steps_do_not_land_in_the_timers_handler_which_runs_all_the_same()
    {
        using Machine machine = Booted(Ticking);
        await using Run run = new(machine);
        using RspClient client = RspClient.Connect(run.Listener.Endpoint);
        client.Ask($"Z0,{Start + 0x23:x},1");
        client.Ask("c");
        client.Ask($"z0,{Start + 0x23:x},1");
        for (int i = 0; i < 10_000; i++)
        {
            Assert.StartsWith("T05", client.Ask("s"), StringComparison.Ordinal);
            Assert.InRange(Pc(client), Start + 0x23, Start + 0x27);
        }

        Assert.NotEqual("0000", client.Ask("m500,2"));
        Assert.StartsWith("into", client.Monitor("step into"), StringComparison.Ordinal);
        for (int i = 0; Pc(client) != Start + 0x28; i++)
        {
            Assert.True(i < 10_000);
            client.Ask("s");
        }

        Assert.Contains("interrupt 08h, at 0000:0000000000007c2", client.Monitor("journal 1"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Gdb_stops_at_breakpoints_in_real_mode_where_a_segment_has_a_base()
    {
        GdbProcess.Require();
        using Machine machine = Booted(Elsewhere);
        await using Run run = new(machine);
        string output = await GdbProcess.RunAsync(
            run.Listener.Endpoint.TargetRemote, "break *0x10002", "continue", "print/x $linear_pc", "print $rcx", "continue", "print/x $linear_pc", "print $rcx", "stepi", "monitor code $linear_pc 2", "detach");
        Assert.Contains("SIGTRAP", output, StringComparison.Ordinal);
        foreach (string text in new[] { "$1 = 0x10002", "$2 = 1", "$3 = 0x10002", "$4 = 2", "16-bit code, segment at 0x10000", "> 0x10003: ebfb", "detached" })
        {
            Assert.Contains(text, output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_fork_runs_with_breakpoints_and_prints_and_the_image_stays()
    {
        using Machine machine = Booted(Printing);
        var view = new Still(machine);
        await using GdbListener listener = GdbListener.Start(
            new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new ImageTargetProvider(() => view, new DebugOptions { Resume = true }), NullLogger.Instance);
        using RspClient client = RspClient.Connect(listener.Endpoint);

        // reg rcx; const16 1000; equal; end. Set before there is a machine to run.
        Assert.Equal("OK", client.Ask($"Z0,{Start + 0x0B:x},1;X8,2600022303e81327"));
        client.Send("c");
        Assert.Equal("O480a", client.Receive());
        Assert.StartsWith("T05", client.Receive(), StringComparison.Ordinal);
        Assert.Equal(Little(1000), client.Ask("p2"));
        Assert.Equal(0UL, machine.InstructionCount);
        Assert.Equal(Start, machine.Vcpus[0].Rip);

        // Five instructions print, three make a round, and INC alone of the last.
        Assert.Contains($"time: {5 + (3 * 999) + 1} ns", client.Monitor("where"), StringComparison.Ordinal);
        Assert.Contains("a new private copy", client.Monitor("fork"), StringComparison.Ordinal);
        Assert.Equal(Start, Pc(client));
        Assert.Contains("COM1: IER", client.Monitor("devices uart"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_journal_keeps_the_last_events_in_order_and_mode_switches()
    {
        // mov eax,cr0; or al,1; mov cr0,eax; ud2 with real mode's vectors for a table: the CPU shuts down.
        using Machine machine = Booted([0x0F, 0x20, 0xC0, 0x0C, 0x01, 0x0F, 0x22, 0xC0, 0x0F, 0x0B]);
        Assert.Equal(ResetCause.TripleFault, machine.Run(100).Reset);
        IReadOnlyList<JournalEntry> last = machine.Journal.Last(10);
        Assert.Equal(JournalKind.Mode, last[0].Kind);
        Assert.Equal(1UL, last[0].Registers.Cr0 & 1);
        Assert.Equal((JournalKind.Fault, (byte)6), (last[1].Kind, last[1].Vector));
        Assert.Equal(8, last[^1].Vector);
        Assert.Equal(Enumerable.Range(1, last.Count).Select(number => (ulong)number), last.Select(entry => entry.Number));
        Assert.Equal(0UL, machine.Journal.Interrupts);
        Assert.Single(machine.Journal.Last(1));
        Assert.Empty(machine.Journal.Last(0));
    }

    private static Machine Booted(byte[] code)
    {
        var machine = new Machine(new MachineOptions { Memory = 1 << 20 });
        machine.Boot(new BootRequest { Kernel = code, MemoryMap = [], Format = KernelFormat.Flat, FlatAddress = Start, FlatEntryMode = FlatEntryMode.Real });
        return machine;
    }

    private static ulong Pc(RspClient client) => BinaryPrimitives.ReadUInt64LittleEndian(Convert.FromHexString(client.Ask("p10")));

    private static string Little(ulong value) => Convert.ToHexStringLower(BitConverter.GetBytes(value));

    /// <summary>A machine that nobody may dispose or change.</summary>
    private sealed class Still(Machine machine) : IMachineView
    {
        public IReadOnlyList<PhysicalRange> Ram => machine.Ram;

        public IReadOnlyList<VcpuState> Vcpus => machine.Vcpus;

        public int CurrentVcpu => machine.CurrentVcpu;

        public ulong InstructionCount => machine.InstructionCount;

        public MachineExit? StopCause => machine.StopCause;

        public MachineState? WholeState => machine.Save();

        public int ReadPhysical(ulong address, Span<byte> destination) => machine.ReadPhysical(address, destination);

        public bool IsUntouched(ulong address) => machine.IsUntouched(address);
    }

    /// <summary>A machine on a thread of its own, served.</summary>
    private sealed class Run : IMachineSupervisor, IAsyncDisposable
    {
        private readonly MachineRunner runner;
        private readonly Task thread;

        public Run(Machine machine)
        {
            runner = new MachineRunner(machine, this, waitForDebugger: true);
            thread = Task.Factory.StartNew(runner.Run, Cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            Listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new LiveTargetProvider(runner, new DebugOptions()), NullLogger.Instance);
        }

        public GdbListener Listener { get; }

        public TrapDecision OnExit(IMachineControl machine, MachineExit exit) => TrapDecision.Freeze("frozen");

        public IMachineControl Restart(IMachineControl machine) => machine;

        public async ValueTask DisposeAsync()
        {
            await Listener.DisposeAsync();
            runner.End();
            await thread;
        }
    }
}
