namespace Cli.Consoles;

/// <summary>What a typed byte means.</summary>
internal enum KeyMeaning
{
    /// <summary>Nothing yet: the escape key, and the next byte decides.</summary>
    Pending,

    /// <summary>A byte for the guest.</summary>
    Data,

    /// <summary>End the run.</summary>
    Quit,

    /// <summary>Open or close the monitor prompt.</summary>
    Monitor,

    /// <summary>A serial break condition for the guest (Linux: SysRq).</summary>
    Break,

    /// <summary>List the keys.</summary>
    Help,

    /// <summary>The escape key and a byte that means nothing after it.</summary>
    Unknown,
}

/// <summary>
/// Ctrl-A and a letter, as QEMU's -nographic has it. Every other byte is the guest's, Ctrl-C included; the escape key
/// typed twice is the escape key.
/// </summary>
internal sealed class EscapeKey
{
    /// <summary>Ctrl-A.</summary>
    public const byte Code = 0x01;

    /// <summary>What Ctrl-A h prints.</summary>
    public const string Help = """

        Ctrl-A h  this help
        Ctrl-A x  end the run
        Ctrl-A c  the monitor prompt, and back
        Ctrl-A b  a serial break (Linux: SysRq)
        Ctrl-A Ctrl-A  Ctrl-A

        """;

    private bool escaped;

    /// <summary>Takes one typed byte.</summary>
    public KeyMeaning Feed(byte typed)
    {
        if (!escaped)
        {
            escaped = typed == Code;
            return escaped ? KeyMeaning.Pending : KeyMeaning.Data;
        }

        escaped = false;
        return typed switch
        {
            Code => KeyMeaning.Data,
            (byte)'x' or (byte)'X' => KeyMeaning.Quit,
            (byte)'c' or (byte)'C' => KeyMeaning.Monitor,
            (byte)'b' or (byte)'B' => KeyMeaning.Break,
            (byte)'h' or (byte)'H' or (byte)'?' => KeyMeaning.Help,
            _ => KeyMeaning.Unknown,
        };
    }
}
