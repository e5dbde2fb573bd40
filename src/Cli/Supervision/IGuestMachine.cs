using Emulator;
using GuestOs;

namespace Cli.Supervision;

/// <summary>A guest's machine as the supervisor needs it. Called on the machine's thread alone.</summary>
internal interface IGuestMachine
{
    /// <summary>The machine itself.</summary>
    IMachineControl Control { get; }

    /// <summary>Tells a crash from an ordinary end, by what the guest left behind.</summary>
    TrapVerdict Judge(MachineExit exit);

    /// <summary>Freezes the machine as it is, copy-on-write.</summary>
    ICapture Capture(MachineExit exit, TrapVerdict verdict);

    /// <summary>Lets the reset happen: the guest boots again. What a warm reset keeps (ERST) is kept.</summary>
    void Restart();
}

/// <summary>A crashed machine as it was at the trap, to be archived. Disposing it gives its memory back.</summary>
internal interface ICapture : IDisposable
{
    /// <summary>The crash in one line.</summary>
    string Title { get; }
}

/// <summary>Writes captures into the store.</summary>
internal interface IArchiver
{
    /// <summary>
    /// Writes one, telling <paramref name="progress"/> the share that is done. Throws <see cref="IOException"/> or
    /// <see cref="UnauthorizedAccessException"/> when it cannot; then nothing of it is left, and it may be tried again.
    /// </summary>
    ArchivedCrash Archive(ICapture capture, Action<double> progress);

    /// <summary>
    /// Makes a written one smaller, now that there is time; the bytes it has then, null when nothing was won. Throws <see cref="IOException"/> when
    /// it cannot, and <see cref="OperationCanceledException"/>; it is as it was then.
    /// </summary>
    long? Shrink(ArchivedCrash archived, CancellationToken cancellation);

    /// <summary>Removes what need not be kept. Throws <see cref="IOException"/> when it cannot.</summary>
    IReadOnlyList<(string Id, string Title)> Prune();
}

/// <summary>A written archive.</summary>
/// <param name="Id">Its name in the store.</param>
/// <param name="Path">Its file.</param>
/// <param name="Bytes">The file's length.</param>
/// <param name="Title">What the crash is called.</param>
/// <param name="Count">How many of that title were seen, this one included.</param>
internal sealed record ArchivedCrash(string Id, string Path, long Bytes, string Title, long Count);
