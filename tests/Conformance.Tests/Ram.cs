using Emulator;
using Emulator.Memory;

namespace Conformance.Tests;

/// <summary>A machine's memory, taken as a whole.</summary>
internal static class Ram
{
    /// <summary>Every byte of RAM, range after range.</summary>
    public static byte[] Read(IMachineView view)
    {
        byte[] bytes = new byte[view.Ram.Sum(range => (long)range.Length)];
        int done = 0;
        foreach (PhysicalRange range in view.Ram)
        {
            for (ulong at = range.Start; at < range.Start + range.Length; at += GuestMemory.PageSize)
            {
                Assert.Equal(GuestMemory.PageSize, view.ReadPhysical(at, bytes.AsSpan(done, GuestMemory.PageSize)));
                done += GuestMemory.PageSize;
            }
        }

        return bytes;
    }
}
