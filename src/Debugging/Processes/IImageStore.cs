using Emulator;

namespace Debugging.Processes;

/// <summary>An image of a store, as it is listed.</summary>
/// <param name="Id">Its name in the store, which never means another image.</param>
/// <param name="Title">The crash in one line.</param>
/// <param name="Time">When it was captured.</param>
/// <param name="Problem">Why it cannot be opened; null when it can.</param>
public sealed record StoredImage(string Id, string Title, DateTimeOffset Time, string? Problem = null);

/// <summary>An image that was opened for one connection.</summary>
/// <param name="View">The image; an <see cref="IMutableMachineView"/> that takes writes of its own. Disposed with the connection if it can be.</param>
/// <param name="Guest">What is known of its guest; null when nothing is.</param>
public sealed record OpenedImage(IMachineView View, IGuestInformation? Guest);

/// <summary>The images that can be debugged beside the live machine. Any thread may call.</summary>
public interface IImageStore
{
    /// <summary>All of them, newest first.</summary>
    IReadOnlyList<StoredImage> List();

    /// <summary>
    /// Opens one for one connection, whose writes no other sees. An <see cref="IOException"/> or <see cref="InvalidDataException"/> says why it cannot.
    /// </summary>
    OpenedImage Open(string id);
}
