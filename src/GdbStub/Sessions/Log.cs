using Microsoft.Extensions.Logging;

namespace GdbStub.Sessions;

/// <summary>What the server has to say. Ids are stable.</summary>
internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "gdb: listening, target remote {Where}")]
    public static partial void Listening(this ILogger logger, string where);

    [LoggerMessage(2, LogLevel.Information, "gdb: session {Session} opened")]
    public static partial void Opened(this ILogger logger, int session);

    [LoggerMessage(3, LogLevel.Information, "gdb: session {Session} ended: {Why}")]
    public static partial void Ended(this ILogger logger, int session, string why);

    [LoggerMessage(4, LogLevel.Warning, "gdb: session {Session} refused: {Why}")]
    public static partial void Refused(this ILogger logger, int session, string why);

    [LoggerMessage(5, LogLevel.Error, "gdb: session {Session} failed on a packet {Packet}")]
    public static partial void PacketFailed(this ILogger logger, Exception exception, int session, string packet);

    [LoggerMessage(6, LogLevel.Error, "gdb: session {Session} failed")]
    public static partial void SessionFailed(this ILogger logger, Exception exception, int session);

    [LoggerMessage(7, LogLevel.Warning, "gdb: a connection could not be accepted")]
    public static partial void AcceptFailed(this ILogger logger, Exception exception);

    [LoggerMessage(8, LogLevel.Trace, "gdb: session {Session} <- {Packet}")]
    public static partial void Received(this ILogger logger, int session, string packet);

    [LoggerMessage(9, LogLevel.Trace, "gdb: session {Session} -> {Packet}")]
    public static partial void Answered(this ILogger logger, int session, string packet);

    [LoggerMessage(10, LogLevel.Error, "gdb: session {Session}: the target failed when its debugger left")]
    public static partial void ReleaseFailed(this ILogger logger, Exception exception, int session);
}
