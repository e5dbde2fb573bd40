using System.Runtime.InteropServices;

namespace Emulator.Memory;

/// <summary>
/// One fast translation, 16 bytes: an access at linear address <c>a</c> of <c>n</c> bytes hits when
/// <c>(a ^ Tag) &lt;= 4096 - n</c>, and its host address is then <c>Host + (a ^ Tag)</c>. One compare tests page and page crossing.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct TlbEntry
{
    /// <summary>Linear page address; of an empty entry an address that belongs to another index.</summary>
    public ulong Tag;

    /// <summary>Host address of the page's first byte.</summary>
    public byte* Host;
}
