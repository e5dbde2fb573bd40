namespace Emulator;

/// <summary>A range of guest-physical addresses backed by RAM.</summary>
/// <param name="Start">First address.</param>
/// <param name="Length">Bytes.</param>
public readonly record struct PhysicalRange(ulong Start, ulong Length);

/// <summary>
/// A machine that stands still, seen from outside: live and stopped, frozen, or out of an archive. Everything that
/// serves, inspects or writes an image goes through this, so none of it can tell which of these it is.
/// </summary>
public interface IMachineView
{
    /// <summary>RAM, ascending, not overlapping.</summary>
    IReadOnlyList<PhysicalRange> Ram { get; }

    /// <summary>The vCPUs, by number.</summary>
    IReadOnlyList<VcpuState> Vcpus { get; }

    /// <summary>False for an image without registers: the one vCPU shown then stands for those there were, and its registers are not theirs.</summary>
    bool HasRegisters => true;

    /// <summary>How many they are.</summary>
    int VcpuCount => Vcpus.Count;

    /// <summary>The vCPU to look at first: the one that panicked, or that caused the stop.</summary>
    int CurrentVcpu { get; }

    /// <summary>Instructions retired since power-on, which is guest nanoseconds.</summary>
    ulong InstructionCount { get; }

    /// <summary>Why it stands still; null for an image that does not know.</summary>
    MachineExit? StopCause { get; }

    /// <summary>
    /// Copies guest-physical memory into <paramref name="destination"/> and returns how many bytes could be read before
    /// the first byte that is not RAM; 0 when the first is not. Never touches a device.
    /// </summary>
    int ReadPhysical(ulong address, Span<byte> destination);

    /// <summary>True when the 4 KiB page at <paramref name="address"/> is RAM that was never written: it reads as zeros.</summary>
    bool IsUntouched(ulong address);

    /// <summary>
    /// Everything apart from RAM, from which a machine can go on; null for an image that has only memory and registers. A
    /// live machine makes it at each call.
    /// </summary>
    MachineState? WholeState => null;

    /// <summary>The last exceptions, interrupts and mode switches; null for what has none.</summary>
    ExceptionJournal? Journal => null;

    /// <summary>A quick look at the registers of a vCPU.</summary>
    void Glance(int vcpu, out VcpuGlance glance) =>
        glance = VcpuGlance.Of(Vcpus[vcpu], WholeState?.Devices.LocalApics[vcpu].ApicBase ?? 0);
}

/// <summary>A view that can be changed: a live machine, or an overlay over something that can not.</summary>
public interface IMutableMachineView : IMachineView
{
    /// <summary>Writes guest-physical RAM; returns how many bytes were written before the first that is not RAM.</summary>
    int WritePhysical(ulong address, ReadOnlySpan<byte> source);

    /// <summary>Replaces the registers of a vCPU. Throws <see cref="ArgumentException"/> when the state is not one a CPU can be in.</summary>
    void SetVcpu(int index, VcpuState state);
}
