using System.Globalization;
using System.Text;
using Debugging.Live;
using Emulator;
using Emulator.Boot;
using GdbStub.Sessions;

namespace Debugging.Tests;

/// <summary>
/// Hostile clients on hostile guests: random packets, of the right form for the most part, to machines whose memory is noise and whose
/// page tables lie in it, so that tables lead anywhere, in circles and out of RAM. Nothing throws, everything is answered.
/// GDBSTUB_FUZZ multiplies the effort.
/// </summary>
public sealed class HostileTests
{
    private const int Packets = 400;

    private static readonly int Effort = int.TryParse(Environment.GetEnvironmentVariable("GDBSTUB_FUZZ"), CultureInfo.InvariantCulture, out int effort) ? effort : 1;

    private static readonly string[] Commands =
    [
        "info", "where", "regs", "regs 0", "journal 3", "phys N N", "walk N", "maps", "maps N", "maps N N", "walk $rip", "walk $cr3+N", "walk $nothing", "devices", "devices apic",
        "dmesg", "panic", "nmi", "power", "step", "step into", "fork", "reset", "quit", "help", "help N", "bt", "ps", "modules", "symbols", "\u00ff", "",
    ];

    private static readonly string[] Forms =
    [
        "mN,N", "mN,S", "xN,S", "xN,N", "MN,4:DDDDDDDD", "XN,3:abc", "qSearch:memory:N;S;ab", "qSearch:memory:N;S;a", "qCRC:N,S", "g", "GDDDDDDDD", "pN", "PN=DDDDDDDDDDDDDDDD",
        "P10=DDDDDDDDDDDDDDDD", "P49=DDDDDDDDDDDDDDDD", "Z0,N,1", "z0,N,1", "Z1,N,1", "Z2,N,8", "Z3,N,N", "Z4,N,S", "z2,N,8", "Z0,N,1;X8,DDDDDDDDDDDDDDDD", "Z0,N,1;X3,220127;cmds:0,X3,220127",
        "qMemoryRegionInfo:N", "qXfer:features:read:target.xml:N,N", "qXfer:threads:read::0,S", "qXfer:memory-map:read::0,S", "qXfer:vmcoreinfo:read::0,S", "qXfer:exec-file:read:1:0,S",
        "vFile:open:2f766d6c696e7578,0,0", "vFile:pread:0,S,N", "vFile:fstat:0", "vFile:close:0", "jThreadsInfo", "jThreadExtendedInfo:{\"thread\":1}]", "qThreadExtraInfo,N", "qThreadStopInfo1",
        "HgN", "Hg1", "TN", "QSaveRegisterState", "QRestoreRegisterState:1", "qRegisterInfoN", "Qqemu.PhyMemMode:1", "Qqemu.PhyMemMode:0", "Qqemu.sstep=N", "?", "qOffsets", "qHostInfo",
    ];

    private static readonly ulong[] Numbers =
        [0, 1, 7, 0x10, 0xFFF, 0x1000, 0x7C00, 0xF_FFFF, 0x10_0000, 0x7FFF_FFFF_FFFF, 0xFFFF_8000_0000_0000, 0xFFFF_FFFF_8000_0000, 0x8000_0000_0000_0000, ulong.MaxValue - 7, ulong.MaxValue];

    [Theory]
    [InlineData(0x8005_0033, 0xD01, 0x20)]
    [InlineData(0x8005_0033, 0xD01, 0x1020)]
    [InlineData(0x8005_0033, 0, 0x20)]
    [InlineData(0x8005_0033, 0, 0)]
    [InlineData(0x33, 0, 0)]
    [InlineData(0x10, 0, 0)]
    public void An_image_of_noise_answers_whatever_it_is_asked(uint cr0, uint efer, uint cr4)
    {
        for (int seed = 0; seed < 6 * Effort; seed++)
        {
            var random = new Random(seed);
            var noise = new NoisyView(random, cr0, efer, cr4);
            var log = new PacketLog();
            using var session = new GdbSession(new ImageTargetProvider(() => noise, new DebugOptions()), log);
            Say(session, "QStartNoAckMode");
            for (int i = 0; i < Packets; i++)
            {
                Assert.NotEqual("", Say(session, Packet(random)));
            }

            Assert.Equal(SessionState.Idle, session.State);
            Assert.Empty(log.Errors);
        }
    }

    [Theory]
    [InlineData(Engine.Interpreter)]
    [InlineData(Engine.Translator)]
    public async Task A_machine_of_noise_runs_steps_and_is_interrupted(Engine engine)
    {
        for (int seed = 0; seed < 6 * Effort; seed++)
        {
            var random = new Random(seed);
            byte[] code = new byte[0x8000];
            random.NextBytes(code);
            using var machine = new Machine(new MachineOptions { Memory = 1 << 20, Engine = engine });
            machine.Boot(new BootRequest { Kernel = code, MemoryMap = [], Format = KernelFormat.Flat, FlatAddress = 0x7C00, FlatEntryMode = FlatEntryMode.Real });
            var runner = new MachineRunner(machine, new GoesOn(), waitForDebugger: true);
            Task run = Task.Factory.StartNew(runner.Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            var log = new PacketLog();
            using (var session = new GdbSession(new LiveTargetProvider(runner, new DebugOptions()), log))
            {
                Say(session, "QStartNoAckMode");
                for (int i = 0; i < Packets; i++)
                {
                    switch (random.Next(6))
                    {
                        case 0:
                            Assert.NotEqual("", Resume(session, "s"));
                            break;

                        case 1:
                            Assert.NotEqual("", Resume(session, "c"));
                            break;

                        case 2:
                            Say(session, $"P10={random.Next(0x10000):x4}000000000000");
                            break;

                        default:
                            Assert.NotEqual("", Say(session, Packet(random)));
                            break;
                    }
                }

                Assert.Empty(log.Errors);
            }

            runner.End();
            await run;
        }
    }

    private static string Packet(Random random)
    {
        if (random.Next(4) == 0)
        {
            string command = Fill(random, Commands[random.Next(Commands.Length)], "0x");
            return "qRcmd," + Convert.ToHexStringLower(Encoding.UTF8.GetBytes(command));
        }

        return Fill(random, Forms[random.Next(Forms.Length)], "");
    }

    /// <summary>N: a number. S: one that is not large. D: a digit.</summary>
    private static string Fill(Random random, string form, string prefix)
    {
        var text = new StringBuilder();
        foreach (char character in form)
        {
            switch (character)
            {
                case 'N':
                    ulong number = random.Next(3) == 0 ? (ulong)random.NextInt64() : Numbers[random.Next(Numbers.Length)] + (ulong)random.Next(2);
                    text.Append(CultureInfo.InvariantCulture, $"{prefix}{number:x}");
                    break;

                case 'S':
                    text.Append(CultureInfo.InvariantCulture, $"{prefix}{random.Next(0x20000):x}");
                    break;

                case 'D':
                    text.Append(CultureInfo.InvariantCulture, $"{random.Next(16):x}");
                    break;

                default:
                    text.Append(character);
                    break;
            }
        }

        return text.ToString();
    }

    private static string Resume(GdbSession session, string packet)
    {
        string said = Say(session, packet);
        for (int waited = 0; session.State != SessionState.Idle; waited++)
        {
            Assert.True(waited < 20_000, "no stop came");
            if (waited == 2)
            {
                session.Receive("\x03"u8);
            }

            Thread.Sleep(waited < 2 ? 0 : 1);
            session.HandleStops();
            said += Take(session);
        }

        return said;
    }

    private static string Say(GdbSession session, string payload)
    {
        byte sum = 0;
        byte[] bytes = Encoding.Latin1.GetBytes(payload);
        foreach (byte value in bytes)
        {
            sum += value;
        }

        session.Receive([.. "$"u8, .. bytes, .. Encoding.ASCII.GetBytes($"#{sum:x2}")]);
        return Take(session);
    }

    private static string Take(GdbSession session)
    {
        string output = Encoding.Latin1.GetString(session.Output.Span);
        session.OutputSent();
        return output;
    }

    /// <summary>Whatever the guest does, it goes on behind it.</summary>
    private sealed class GoesOn : IMachineSupervisor
    {
        public TrapDecision OnExit(IMachineControl machine, MachineExit exit) => TrapDecision.StopThenRunOn(() => machine);

        public IMachineControl Restart(IMachineControl machine) => machine;
    }

    /// <summary>RAM of noise, of which a part looks like entries of page tables, and registers that point into it.</summary>
    private sealed class NoisyView : IMutableMachineView
    {
        private readonly byte[] ram = new byte[0x10_0000];
        private VcpuState vcpu = new FakeMachine().Vcpus[0];

        public NoisyView(Random random, uint cr0, uint efer, uint cr4)
        {
            random.NextBytes(ram);
            for (int at = 0; at < ram.Length / 2; at += 8)
            {
                // Present, mostly inside RAM, in all combinations of the other bits.
                ulong entry = ((ulong)random.Next(0x120) << 12) | (uint)random.Next(0x1000) | (random.Next(8) == 0 ? 0 : 1UL);
                BitConverter.TryWriteBytes(ram.AsSpan(at), random.Next(16) == 0 ? (ulong)random.NextInt64() : entry);
            }

            vcpu = vcpu with { Cr0 = cr0, Efer = efer, Cr4 = cr4, Cr3 = (ulong)random.Next(0x100) << 12, Rip = (ulong)random.NextInt64() };
        }

        public IReadOnlyList<PhysicalRange> Ram => [new(0, 0x10_0000)];

        public IReadOnlyList<VcpuState> Vcpus => [vcpu];

        public int CurrentVcpu => 0;

        public ulong InstructionCount => 0;

        public MachineExit? StopCause => null;

        public int ReadPhysical(ulong address, Span<byte> destination) => FlatRam.Read(ram, address, destination);

        public bool IsUntouched(ulong address) => false;

        public int WritePhysical(ulong address, ReadOnlySpan<byte> source) => FlatRam.Write(ram, address, source);

        public void SetVcpu(int index, VcpuState state) => vcpu = state;
    }
}
