namespace GuestOs.Linux.Symbols;

/// <summary>The build id among the notes a linker left. Source: gABI chapter 5, "Note Section"; GNU ld's --build-id.</summary>
internal static class BuildIdNote
{
    /// <summary>Bytes of notes looked through.</summary>
    public const int MaxBytes = 1 << 16;

    private const uint GnuBuildId = 3;

    /// <summary>The id in lower-case hexadecimal digits; null when there is none.</summary>
    /// <param name="notes">Lengths of name and contents, type, both padded to four bytes; again and again.</param>
    public static string? Find(ReadOnlySpan<byte> notes)
    {
        for (int at = 0; at + 12 <= notes.Length;)
        {
            uint name = BitConverter.ToUInt32(notes[at..]), length = BitConverter.ToUInt32(notes[(at + 4)..]), type = BitConverter.ToUInt32(notes[(at + 8)..]);
            long contents = at + 12 + ((name + 3L) & ~3L), next = contents + ((length + 3L) & ~3L);
            if (next > notes.Length)
            {
                return null;
            }

            if (type == GnuBuildId && name == 4 && notes.Slice(at + 12, 4).SequenceEqual("GNU\0"u8) && length is > 0 and <= 32)
            {
                return Convert.ToHexStringLower(notes.Slice((int)contents, (int)length));
            }

            at = (int)next;
        }

        return null;
    }
}
