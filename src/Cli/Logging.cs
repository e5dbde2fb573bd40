using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Cli;

/// <summary>
/// Diagnostics, one line each, on standard error. Written at once and without a thread of its own, so that the last words
/// before an end are not lost.
/// </summary>
internal static class Logging
{
    /// <summary>Loggers that tell from <paramref name="level"/> on.</summary>
    public static ILoggerFactory Create(LogLevel level) => LoggerFactory.Create(builder =>
    {
        builder.SetMinimumLevel(level);
        builder.AddProvider(new StandardErrorProvider());
    });

    private sealed class StandardErrorProvider : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => new StandardErrorLogger(categoryName);

        public void Dispose()
        {
        }
    }

    private sealed class StandardErrorLogger(string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            string text = formatter(state, exception).ReplaceLineEndings(" ");
            string cause = exception is null ? "" : $": {exception.Message.ReplaceLineEndings(" ")}";
            Console.Error.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{DateTime.Now:HH:mm:ss.fff} {Word(logLevel)} {category}[{eventId.Id}]: {text}{cause}"));
        }

        private static string Word(LogLevel level) => level switch
        {
            LogLevel.Trace => "trace",
            LogLevel.Debug => "debug",
            LogLevel.Information => "info",
            LogLevel.Warning => "warning",
            LogLevel.Error => "error",
            _ => "critical",
        };
    }
}
