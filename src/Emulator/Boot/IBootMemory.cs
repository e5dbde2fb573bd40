namespace Emulator.Boot;

/// <summary>
/// Guest RAM as a loader needs it. A loader only names ranges that lie inside usable entries of the request's memory map,
/// so an implementation may treat any other range as a bug.
/// </summary>
public interface IBootMemory
{
    /// <summary>Copies bytes to a physical address.</summary>
    void Write(ulong address, ReadOnlySpan<byte> bytes);

    /// <summary>Makes a range read as zeros; cheap where it was never written.</summary>
    void Clear(ulong address, ulong length);
}
