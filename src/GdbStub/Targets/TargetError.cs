namespace GdbStub.Targets;

/// <summary>
/// Why a target did not do what a debugger asked. The text is for a person: what is wrong and what to do about it.
/// The number goes to clients that understand nothing else; they are the errno values of "Standard Replies" in gdb's manual.
/// </summary>
/// <param name="Number">1–255.</param>
/// <param name="Text">One line of ASCII.</param>
public sealed record TargetError(byte Number, string Text)
{
    /// <summary>EPERM: the target cannot be changed this way.</summary>
    public const byte NotPermitted = 1;

    /// <summary>ESRCH: there is no such thread.</summary>
    public const byte NoSuchThread = 3;

    /// <summary>EIO: anything without a better number.</summary>
    public const byte Failed = 5;

    /// <summary>EFAULT: no memory there.</summary>
    public const byte BadAddress = 14;

    /// <summary>EINVAL: the packet is malformed, or a number in it out of range.</summary>
    public const byte Invalid = 22;
}
