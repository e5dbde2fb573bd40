using System.Diagnostics.CodeAnalysis;

namespace GdbStub.Targets;

/// <summary>A file of the target's own making. It is read, never written.</summary>
public interface IVirtualFile : IDisposable
{
    /// <summary>Bytes.</summary>
    ulong Length { get; }

    /// <summary>Reads from an offset; returns how many bytes, 0 at or behind the end.</summary>
    int Read(ulong offset, Span<byte> destination);
}

/// <summary>
/// The files a debugger may open through the protocol (vFile). They are made by the target; no path of the host is ever
/// opened because a client named it.
/// </summary>
public interface IVirtualFiles
{
    /// <summary>Path of the program's file, which gdb then opens for its symbols; null when there is none.</summary>
    string? Executable { get; }

    /// <summary>Opens a file; false when there is none of that path.</summary>
    bool TryOpen(string path, [NotNullWhen(true)] out IVirtualFile? file);

    /// <summary>Where a link leads; null when it is none.</summary>
    string? ReadLink(string path) => null;
}
