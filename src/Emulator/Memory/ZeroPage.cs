namespace Emulator.Memory;

/// <summary>What a page that was never written reads as: one page for the whole process, which the host keeps unwritable.</summary>
internal static unsafe class ZeroPage
{
    /// <summary>Its address.</summary>
    public static readonly byte* Address = HostMemory.MapReadOnly(GuestMemory.PageSize);
}
