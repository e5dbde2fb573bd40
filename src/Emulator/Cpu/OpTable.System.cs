using Iced.Intel;

namespace Emulator.Cpu;

// System instructions: control, segments, tables, MSRs, ports, and what is privileged.
internal static unsafe partial class OpTable
{
    private static delegate*<CpuState*, Op*, Step> System(in Instruction instruction, CodeMode mode, ref Op op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Cli: return &SystemInstructions.Cli;
            case Mnemonic.Sti: return &SystemInstructions.Sti;
            case Mnemonic.Hlt: return &SystemInstructions.Halt;
            case Mnemonic.Cpuid: return &SystemInstructions.Cpuid;
            case Mnemonic.Rdtsc: return &SystemInstructions.ReadTimeStamp;
            case Mnemonic.Rdtscp: return &SystemInstructions.ReadTimeStampAndId;
            case Mnemonic.Rdmsr: return &SystemInstructions.ReadMsr;
            case Mnemonic.Wrmsr: return &SystemInstructions.WriteMsr;
            case Mnemonic.Rdpmc: return &SystemInstructions.ReadPerformanceCounter;
            case Mnemonic.Lgdt: return LoadTable(instruction, ref op, &SystemInstructions.LoadGdt);
            case Mnemonic.Lidt: return LoadTable(instruction, ref op, &SystemInstructions.LoadIdt);
            case Mnemonic.Sgdt: return LoadTable(instruction, ref op, &SystemInstructions.StoreGdt);
            case Mnemonic.Sidt: return LoadTable(instruction, ref op, &SystemInstructions.StoreIdt);
            case Mnemonic.Lldt: return &SystemInstructions.LoadLdt;
            case Mnemonic.Ltr: return &SystemInstructions.LoadTask;
            case Mnemonic.Sldt:
                op.Data = SegmentIndex.Ldtr;
                return &SystemInstructions.StoreSystemSelector;
            case Mnemonic.Str:
                op.Data = SegmentIndex.Tr;
                return &SystemInstructions.StoreSystemSelector;
            case Mnemonic.Lmsw: return &SystemInstructions.LoadMachineStatus;
            case Mnemonic.Smsw: return &SystemInstructions.StoreMachineStatus;
            case Mnemonic.Clts: return &SystemInstructions.ClearTaskSwitched;
            case Mnemonic.Invd or Mnemonic.Wbinvd or Mnemonic.Wbnoinvd: return &SystemInstructions.PrivilegedNothing;
            case Mnemonic.Invlpg:
                op.MemorySize = 0;
                return &SystemInstructions.InvalidatePage;
            case Mnemonic.Clflush: return &SystemInstructions.FlushLine;
            case Mnemonic.Verr:
                op.Data = 0;
                return &SystemInstructions.Verify;
            case Mnemonic.Verw:
                op.Data = 1;
                return &SystemInstructions.Verify;
            case Mnemonic.Lar:
                op.Data = 0;
                return &SystemInstructions.LoadAccessOrLimit;
            case Mnemonic.Lsl:
                op.Data = 1;
                return &SystemInstructions.LoadAccessOrLimit;
            case Mnemonic.Arpl: return &SystemInstructions.AdjustRpl;
            case Mnemonic.Swapgs: return &SystemInstructions.SwapGs;
            case Mnemonic.Syscall: return &SystemCalls.Syscall;
            case Mnemonic.Sysret: return Sized(ref op, 4, &SystemCalls.Sysret);
            case Mnemonic.Sysretq: return Sized(ref op, 8, &SystemCalls.Sysret);
            case Mnemonic.Sysenter: return &SystemCalls.Sysenter;
            case Mnemonic.Sysexit: return Sized(ref op, 4, &SystemCalls.Sysexit);
            case Mnemonic.Sysexitq: return Sized(ref op, 8, &SystemCalls.Sysexit);
            case Mnemonic.Rdfsbase:
                op.Data = SegmentIndex.Fs;
                return &SystemInstructions.ReadBase;
            case Mnemonic.Rdgsbase:
                op.Data = SegmentIndex.Gs;
                return &SystemInstructions.ReadBase;
            case Mnemonic.Wrfsbase:
                op.Data = SegmentIndex.Fs;
                return &SystemInstructions.WriteBase;
            case Mnemonic.Wrgsbase:
                op.Data = SegmentIndex.Gs;
                return &SystemInstructions.WriteBase;
            case Mnemonic.Stac: return &SystemInstructions.SetAc;
            case Mnemonic.Clac: return &SystemInstructions.ClearAc;
            case Mnemonic.Xgetbv: return &SystemInstructions.ReadXcr;
            case Mnemonic.Xsetbv: return &SystemInstructions.WriteXcr;
            case Mnemonic.Rdrand: return &SystemInstructions.Random;
            case Mnemonic.Bound: return &SystemInstructions.Bound;
            case Mnemonic.In:
                op.Data = instruction.Op1Kind == OpKind.Register ? 1 : 0;
                return &PortIo.In;
            case Mnemonic.Out:
                op.OperandSize = (byte)instruction.Op1Register.GetSize();
                op.Data = instruction.Op0Kind == OpKind.Register ? 1 : 0;
                return &PortIo.Out;
            case Mnemonic.Lds: return FarPointer(instruction, SegmentIndex.Ds, ref op);
            case Mnemonic.Les: return FarPointer(instruction, SegmentIndex.Es, ref op);
            case Mnemonic.Lss: return FarPointer(instruction, SegmentIndex.Ss, ref op);
            case Mnemonic.Lfs: return FarPointer(instruction, SegmentIndex.Fs, ref op);
            case Mnemonic.Lgs: return FarPointer(instruction, SegmentIndex.Gs, ref op);
            default: return null;
        }
    }

    private static delegate*<CpuState*, Op*, Step> LoadTable(in Instruction instruction, ref Op op, delegate*<CpuState*, Op*, Step> run)
    {
        // 16-bit operand size loads 24 bits of base.
        op.OperandSize = instruction.Code is Code.Lgdt_m1632_16 or Code.Lidt_m1632_16 or Code.Sgdt_m1632_16 or Code.Sidt_m1632_16 ? (byte)2
            : instruction.Code is Code.Lgdt_m1664 or Code.Lidt_m1664 or Code.Sgdt_m1664 or Code.Sidt_m1664 ? (byte)8 : (byte)4;
        return run;
    }

    private static delegate*<CpuState*, Op*, Step> FarPointer(in Instruction instruction, int segment, ref Op op)
    {
        op.Src = (byte)segment;
        op.OperandSize = (byte)instruction.Op0Register.GetSize();
        return &SystemInstructions.LoadFarPointer;
    }
}
