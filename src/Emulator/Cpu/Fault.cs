namespace Emulator.Cpu;

/// <summary>
/// Exceptions of the guest as values: raising one fills the fault fields of <see cref="CpuState"/> and gives
/// <see cref="Step.Fault"/> back. Source: SDM vol. 3A chapter 6.
/// </summary>
internal static unsafe class Fault
{
    internal const byte
        DivideError = 0, Debug = 1, Nmi = 2, Breakpoint = 3, Overflow = 4, BoundRange = 5, InvalidOpcode = 6, DeviceNotAvailable = 7,
        DoubleFault = 8, InvalidTss = 10, SegmentNotPresent = 11, StackFault = 12, GeneralProtection = 13, PageFault = 14,
        MathFault = 16, AlignmentCheck = 17, MachineCheck = 18, SimdException = 19;

    /// <summary>Vectors that push an error code.</summary>
    internal static bool HasErrorCode(int vector) => vector is DoubleFault or (>= InvalidTss and <= PageFault) or AlignmentCheck;

    internal static Step Raise(CpuState* s, byte vector, uint error = 0)
    {
        s->FaultVector = vector;
        s->FaultError = error;
        return Step.Fault;
    }

    internal static Step Undefined(CpuState* s, Op* op) => Raise(s, InvalidOpcode);

    internal static Step Protection(CpuState* s, uint error = 0) => Raise(s, GeneralProtection, error);

    /// <summary>A page fault's error code bits.</summary>
    internal const uint PfPresent = 1, PfWrite = 2, PfUser = 4, PfReserved = 8, PfFetch = 16;

    internal static Step TooLong(CpuState* s, Op* op) => Raise(s, GeneralProtection);
}
