using System.Diagnostics.CodeAnalysis;
using Debugging.Images;
using Emulator;
using GdbStub.Targets;

namespace Debugging;

/// <summary>
/// Serves an image that does not run. Each connection opens its own view, so that what one debugger writes (into the
/// overlay the view then is) no other sees, and it is gone when the connection is.
/// </summary>
public sealed class ImageTargetProvider : ITargetProvider
{
    private readonly Func<IMachineView> open;
    private readonly DebugOptions options;

    /// <param name="open">
    /// Makes a view for a connection: an <see cref="IMutableMachineView"/> where writes are welcome. It is disposed with
    /// the connection if it can be. An <see cref="IOException"/> or <see cref="InvalidDataException"/> refuses the connection
    /// with its message.
    /// </param>
    /// <param name="options">How it is presented.</param>
    public ImageTargetProvider(Func<IMachineView> open, DebugOptions options)
    {
        this.open = open;
        this.options = options;
    }

    /// <inheritdoc/>
    public bool TryOpen(ITargetEvents events, [NotNullWhen(true)] out IDebugTarget? target, [NotNullWhen(false)] out string? refusal)
    {
        try
        {
            target = new MachineTarget(new ImageConnection(open(), events, options.Resume), options);
            refusal = null;
            return true;
        }
        catch (Exception exception) when (exception is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            target = null;
            refusal = exception.Message;
            return false;
        }
    }
}
