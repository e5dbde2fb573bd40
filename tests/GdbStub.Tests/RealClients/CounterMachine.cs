using System.Diagnostics.CodeAnalysis;
using GdbStub.Agents;
using GdbStub.Targets;

namespace GdbStub.Tests.RealClients;

/// <summary>
/// A machine real debuggers know the registers of, without a processor: memory of NOPs at 400000h, through the first 100h of
/// which rip goes round and round while rax counts the instructions. Process 2 is the same, at another count.
/// </summary>
internal sealed class CounterMachine : ITargetProvider, IProcesses
{
    public const ulong Code = 0x400000;
    public const ulong Loop = 0x100;
    public const int MemorySize = 0x400000;

    public static readonly TargetDescription X86 = new(
        "i386:x86-64", "x86_64-pc-linux-gnu", 8, bigEndian: false,
        [
            new RegisterFeature("org.gnu.gdb.i386.core", [],
            [
                .. "rax rbx rcx rdx rsi rdi".Split(' ').Select((name, i) => new RegisterInfo(name, 64, "int64") { DwarfNumber = new[] { 0, 3, 2, 1, 4, 5 }[i], EhFrameNumber = new[] { 0, 3, 2, 1, 4, 5 }[i] }),
                new RegisterInfo("rbp", 64, "data_ptr", Generic: "fp") { DwarfNumber = 6, EhFrameNumber = 6 },
                new RegisterInfo("rsp", 64, "data_ptr", Generic: "sp") { DwarfNumber = 7, EhFrameNumber = 7 },
                .. Enumerable.Range(8, 8).Select(i => new RegisterInfo($"r{i}", 64, "int64") { DwarfNumber = i, EhFrameNumber = i }),
                new RegisterInfo("rip", 64, "code_ptr", Generic: "pc") { DwarfNumber = 16, EhFrameNumber = 16 },
                new RegisterInfo("eflags", 32, "int", Generic: "flags"),
                .. "cs ss ds es fs gs".Split(' ').Select(name => new RegisterInfo(name, 32, "int")),
                .. Enumerable.Range(0, 8).Select(i => new RegisterInfo($"st{i}", 80, "i387_ext", "float")),
                .. "fctrl fstat ftag fiseg fioff foseg fooff fop".Split(' ').Select(name => new RegisterInfo(name, 32, "int", "float")),
            ]),
        ],
        "rip", ["rbp", "rsp", "rip"]);

    public byte[] Program { get; init; } = [];

    public IProcesses? Processes => this;

    public IReadOnlyList<TargetProcess> List => [new(1, "live machine", "", [("state", "stopped")]), new(2, "Kernel panic - not syncing: sysrq", "", [("state", "archived")])];

    /// <summary>Hits of breakpoints that were decided about here.</summary>
    public int Decided { get; private set; }

    public bool TryOpen(ITargetEvents events, [NotNullWhen(true)] out IDebugTarget? target, [NotNullWhen(false)] out string? refusal)
    {
        target = new Machine(this, events, 1, 0);
        refusal = null;
        return true;
    }

    public bool TryAttach(int process, ITargetEvents events, [NotNullWhen(true)] out IDebugTarget? target, [NotNullWhen(false)] out TargetError? error)
    {
        target = process is 1 or 2 ? new Machine(this, events, process, process == 1 ? 0 : 0x77UL) : null;
        error = target is null ? new TargetError(TargetError.NoSuchThread, $"there is no process {process}") : null;
        return target is not null;
    }

    private sealed class Machine(CounterMachine owner, ITargetEvents events, int process, ulong count)
        : IDebugTarget, IRunControl, IProgrammableBreakpoints, ITargetWriter, IDirectMemory, IVirtualFiles, IMemoryRegions, IMonitor
    {
        private readonly Lock gate = new();
        private readonly Dictionary<ulong, BreakpointProgram?> breakpoints = [];
        private readonly byte[] memory = Build();
        private readonly ulong[] registers = new ulong[24];
        private ulong rax = count;
        private ulong rip = Code;
        private bool stop;

        public int ProcessId => process;

        public TargetDescription Description => X86;

        public IReadOnlyList<TargetThread> Threads { get; } = [new(1, "vCPU 0", "", 0)];

        public StopReport CurrentStop { get; private set; } = new(1, StopReason.Signal, 5);

        public ITargetWriter? Writer => this;

        public IRunControl? RunControl => this;

        public IBreakpoints? Breakpoints => this;

        public IMonitor? Monitor => this;

        public IDirectMemory? DirectMemory => this;

        public IVirtualFiles? Files => this;

        public IMemoryRegions? Regions => this;

        public string? Executable => owner.Program.Length > 0 ? "/boot/program" : null;

        public int PageSize => 4096;

        public TargetError Unsupported(TargetAbility ability) => new(TargetError.NotPermitted, "cannot");

        public bool TryReadRegister(int thread, int register, Span<byte> value)
        {
            value.Clear();
            ulong bits = register switch
            {
                0 => rax,
                16 => rip,
                < 24 => registers[register],
                _ => 0,
            };
            Span<byte> all = stackalloc byte[16];
            BitConverter.TryWriteBytes(all, bits);
            all[..Math.Min(value.Length, 8)].CopyTo(value);
            return true;
        }

        public TargetError? WriteRegisters(int thread, IReadOnlyList<RegisterValue> values)
        {
            foreach (RegisterValue value in values.Where(value => value.Register < 24))
            {
                byte[] bytes = new byte[8];
                value.Value.Span[..Math.Min(value.Value.Length, 8)].CopyTo(bytes);
                ulong bits = BitConverter.ToUInt64(bytes);
                _ = value.Register switch
                {
                    0 => rax = bits,
                    16 => rip = bits,
                    _ => registers[value.Register] = bits,
                };
            }

            return null;
        }

        public ReadOnlySpan<byte> Peek(int thread, ulong address, int wanted) => address - Code < MemorySize
            ? memory.AsSpan((int)(address - Code), Math.Min(wanted, 4096 - (int)(address & 4095)))
            : [];

        public int ReadMemory(int thread, ulong address, Span<byte> destination)
        {
            int done = 0;
            while (done < destination.Length && Peek(thread, address + (ulong)done, destination.Length - done) is { IsEmpty: false } piece)
            {
                piece.CopyTo(destination[done..]);
                done += piece.Length;
            }

            return done;
        }

        public int WriteMemory(int thread, ulong address, ReadOnlySpan<byte> source)
        {
            int count = address - Code < MemorySize ? Math.Min(source.Length, MemorySize - (int)(address - Code)) : 0;
            source[..count].CopyTo(memory.AsSpan((int)Math.Min(address - Code, MemorySize)));
            return count;
        }

        public TargetError? Resume(IReadOnlyList<ThreadAction> actions)
        {
            bool step = actions[0].Kind == ResumeKind.Step;
            stop = false;
            new Thread(() => Run(step)) { IsBackground = true }.Start();
            return null;
        }

        public void RequestStop() => Volatile.Write(ref stop, true);

        public TargetError? Insert(TargetBreakpoint breakpoint) => Set(breakpoint, null);

        public TargetError? Insert(TargetBreakpoint breakpoint, BreakpointProgram program) => Set(breakpoint, program);

        public TargetError? Remove(TargetBreakpoint breakpoint)
        {
            lock (gate)
            {
                breakpoints.Remove(breakpoint.Address);
                return null;
            }
        }

        public MemoryRegion Find(int thread, ulong address) => address < Code
            ? new(0, Code - 1, MemoryAccess.None)
            : address < Code + MemorySize ? new(Code, Code + MemorySize - 1, MemoryAccess.Read | MemoryAccess.Execute, "nops") : new(Code + MemorySize, ulong.MaxValue, MemoryAccess.None);

        public bool TryOpen(string path, [NotNullWhen(true)] out IVirtualFile? file)
        {
            file = path == Executable ? new ByteFile(owner.Program) : null;
            return file is not null;
        }

        public string Execute(int thread, string command) => $"you said {command}\n";

        public void Dispose() => RequestStop();

        private TargetError? Set(TargetBreakpoint breakpoint, BreakpointProgram? program)
        {
            lock (gate)
            {
                breakpoints[breakpoint.Address] = program;
                return null;
            }
        }

        private void Run(bool step)
        {
            var context = new Context(this);
            StopReport report;
            do
            {
                rax++;
                rip = Code + ((rip - Code + 1) % Loop);
                if (Hit(ref context))
                {
                    report = new StopReport(1, StopReason.SoftwareBreakpoint, 5);
                    break;
                }

                report = new StopReport(1, StopReason.Signal, step ? StopReport.Trap : StopReport.Interrupt);
            }
            while (!step && !Volatile.Read(ref stop));

            CurrentStop = report;
            events.Stopped(report);
        }

        private bool Hit(ref Context context)
        {
            lock (gate)
            {
                if (!breakpoints.TryGetValue(rip, out BreakpointProgram? program))
                {
                    return false;
                }

                if (program is not null)
                {
                    owner.Decided++;
                }

                return program is null || program.Hit(ref context) == BreakpointVerdict.Stop;
            }
        }

        private static byte[] Build()
        {
            byte[] memory = new byte[MemorySize];
            memory.AsSpan(0, 0x1000).Fill(0x90);
            "needle"u8.CopyTo(memory.AsSpan(0x3FFFFA));
            return memory;
        }

        private readonly struct Context(Machine machine) : IAgentContext
        {
            public Span<long> Variables => [];

            public bool TryReadRegister(int register, out ulong value)
            {
                Span<byte> bytes = stackalloc byte[8];
                bool read = machine.TryReadRegister(1, register, bytes);
                value = BitConverter.ToUInt64(bytes);
                return read;
            }

            public bool TryReadMemory(ulong address, Span<byte> destination) => machine.ReadMemory(1, address, destination) == destination.Length;

            public void Record(ulong address, ulong length)
            {
            }

            public void Print(ReadOnlySpan<byte> text) => machine.Say(text);
        }

        private void Say(ReadOnlySpan<byte> text) => events.Output(text);

        private sealed class ByteFile(byte[] bytes) : IVirtualFile
        {
            public ulong Length => (ulong)bytes.Length;

            public int Read(ulong offset, Span<byte> destination)
            {
                int count = offset < (ulong)bytes.Length ? Math.Min(destination.Length, bytes.Length - (int)offset) : 0;
                bytes.AsSpan((int)Math.Min(offset, (ulong)bytes.Length), count).CopyTo(destination);
                return count;
            }

            public void Dispose()
            {
            }
        }
    }
}
