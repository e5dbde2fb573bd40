using Microsoft.Extensions.Logging;

namespace GdbStub.Tests;

/// <summary>Keeps what is logged as an error: a failure of the server's, whatever a client said.</summary>
internal sealed class ErrorLog : ILogger
{
    private readonly List<string> errors = [];

    public IReadOnlyList<string> Errors => errors;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        errors.Add($"{formatter(state, exception)}: {exception}");
}
