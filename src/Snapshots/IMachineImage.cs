using Emulator;

namespace Snapshots;

/// <summary>A view that may lack pages of its RAM: a dump somebody filtered.</summary>
public interface IPartialView : IMachineView
{
    /// <summary>
    /// True when the page at <paramref name="address"/> is RAM whose contents were left out. It cannot be read: what stood
    /// there is not known, and zeros would be a lie.
    /// </summary>
    bool IsLeftOut(ulong address);
}

/// <summary>A machine out of a file: an archive of ours, or a dump somebody else wrote.</summary>
public interface IMachineImage : IPartialView, IDisposable
{
    /// <summary>The file, as given.</summary>
    string Path { get; }

    /// <summary>Bytes of the file.</summary>
    long Length { get; }

    /// <summary>What kind of file it is, for people.</summary>
    string Format { get; }

    /// <summary>What is known besides memory and registers. Of a foreign dump only what the file itself says.</summary>
    CaptureInfo Capture { get; }
}
