using Emulator.Boot;

namespace Cli.Arguments;

/// <summary>Where a flat binary goes and in which mode it is entered: ADDR[:real|protected|long].</summary>
/// <param name="Address">Physical address of its first byte, which is also its entry.</param>
/// <param name="Mode">The CPU's mode there.</param>
internal sealed record FlatPlacement(ulong Address, FlatEntryMode Mode)
{
    /// <summary>The placement; false with a line that says what is wrong.</summary>
    public static bool TryParse(string text, out FlatPlacement placement, out string error)
    {
        placement = new FlatPlacement(0, FlatEntryMode.Real);
        error = "";
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string mode = colon < 0 ? "" : text[(colon + 1)..];
        if (!Number.TryParse(colon < 0 ? text : text[..colon], out ulong address))
        {
            error = $"'{text}' does not begin with an address: give ADDR[:real|protected|long], for example 0x7c00:real";
            return false;
        }

        FlatEntryMode? entry = mode switch
        {
            "" when colon < 0 => address < 0x10_0000 ? FlatEntryMode.Real : FlatEntryMode.Protected,
            "real" => FlatEntryMode.Real,
            "protected" => FlatEntryMode.Protected,
            "long" => FlatEntryMode.Long,
            _ => null,
        };
        if (entry is null)
        {
            error = $"'{mode}' is not a CPU mode: give real, protected or long";
            return false;
        }

        if (entry == FlatEntryMode.Real && address >= 0x10_0000)
        {
            error = $"{address:x}h is out of reach in real mode: give an address below 1 MiB, or :protected";
            return false;
        }

        placement = new FlatPlacement(address, entry.Value);
        return true;
    }
}
