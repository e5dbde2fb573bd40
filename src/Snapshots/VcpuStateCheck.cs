using Emulator;

namespace Snapshots;

/// <summary>
/// Whether a <see cref="VcpuState"/> has the shape every reader relies on, and no combination that a CPU refuses.
/// Source: SDM vol. 3A §2.5 (control registers), §4.1.1 (paging modes).
/// </summary>
internal static class VcpuStateCheck
{
    private const ulong ProtectionEnable = 1;
    private const ulong Paging = 1UL << 31;
    private const ulong PhysicalAddressExtension = 1 << 5;
    private const ulong LongModeActive = 1 << 10;

    /// <summary>What is wrong, or null.</summary>
    public static string? Problem(VcpuState state)
    {
        (string Name, int Length, int Expected)[] arrays =
        [
            ("gpr", state.Gpr.Length, 16),
            ("segments", state.Segments.Length, 8),
            ("dr", state.Dr.Length, 8),
            ("fx", state.Fx.Length, 512),
        ];
        foreach ((string name, int length, int expected) in arrays)
        {
            if (length != expected)
            {
                return $"{name} has {length} elements, not {expected}";
            }
        }

        if (Array.IndexOf(state.Segments, null) >= 0)
        {
            return "segments has a null";
        }

        if ((state.Cr0 >> 32) != 0)
        {
            return $"cr0 is 0x{state.Cr0:x}, wider than 32 bits";
        }

        if ((state.Cr0 & Paging) != 0 && (state.Cr0 & ProtectionEnable) == 0)
        {
            return "cr0 has PG without PE";
        }

        bool longMode = (state.Efer & LongModeActive) != 0;
        if (longMode && ((state.Cr0 & Paging) == 0 || (state.Cr4 & PhysicalAddressExtension) == 0))
        {
            return "efer has LMA without paging and PAE";
        }

        return state.Cr8 > 15 ? $"cr8 is {state.Cr8}, above 15" : null;
    }
}
