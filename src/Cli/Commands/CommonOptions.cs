using System.CommandLine;
using System.Runtime.InteropServices;
using Cli.Arguments;
using Emulator;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging;

namespace Cli.Commands;

/// <summary>
/// Options that several commands share; each command has its own instances. Options are taken as text and read here, by
/// pure functions, so that one place decides how an error of usage sounds.
/// </summary>
internal static class CommonOptions
{
    private static readonly (string Word, LogLevel Level)[] LogLevels =
    [
        ("trace", Microsoft.Extensions.Logging.LogLevel.Trace), ("debug", Microsoft.Extensions.Logging.LogLevel.Debug),
        ("info", Microsoft.Extensions.Logging.LogLevel.Information), ("information", Microsoft.Extensions.Logging.LogLevel.Information),
        ("warning", Microsoft.Extensions.Logging.LogLevel.Warning), ("error", Microsoft.Extensions.Logging.LogLevel.Error),
        ("none", Microsoft.Extensions.Logging.LogLevel.None),
    ];

    /// <summary>--log-level, of every command.</summary>
    public static readonly Option<string?> LogLevel = new("--log-level")
    {
        Description = "Diagnostics on standard error: trace, debug, info, warning, error or none [default: warning]",
        HelpName = "level",
        Recursive = true,
    };

    private static readonly (string Word, Engine Value)[] Engines =
        [("interpreter", Emulator.Engine.Interpreter), ("translator", Emulator.Engine.Translator), ("both", Emulator.Engine.Both)];

    /// <summary>What executes guests unless --engine says otherwise: translated code is for hosts with the guest's own instructions.</summary>
    public static readonly Engine DefaultEngine = OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64
        ? Emulator.Engine.Translator
        : Emulator.Engine.Interpreter;

    /// <summary>Reads a text; false with a line that says what is wrong.</summary>
    public delegate bool Reader<T>(string text, out T value, out string error);

    /// <summary>--store.</summary>
    public static Option<string?> Store() => new("--store")
    {
        Description = "Directory of the archives [default: $GDBSTUB_STORE, else $XDG_STATE_HOME/gdbstub]",
        HelpName = "dir",
    };

    /// <summary>An archive of the store.</summary>
    public static Argument<string> ArchiveId() => new("ID")
    {
        Description = "The archive's ID or the beginning of it; latest or -1 for the newest, -2 for the one before",
    };

    /// <summary>An archive of the store, or a file.</summary>
    public static Argument<string> ArchiveIdOrFile() => new("ID|FILE")
    {
        Description = "The archive's ID or the beginning of it; latest or -1 for the newest, -2 for the one before; or a file: an archive, or a dump of QEMU, makedumpfile, LiME or VMware",
    };

    /// <summary>--raw-base.</summary>
    public static Option<string?> RawBase() => new("--raw-base")
    {
        Description = "The file is RAM and nothing else, and its first byte has this guest-physical address (0 for most)",
        HelpName = "addr",
    };

    /// <summary>What --raw-base says; null when it was not given.</summary>
    public static ulong? ReadRawBase(ParseResult parsed, Option<string?> option) => Read<ulong?>(parsed, option, ReadAddress, null);

    /// <summary>--gdb.</summary>
    public static Option<string?> Gdb() => new("--gdb")
    {
        Description = $"Where debuggers connect: tcp:HOST:PORT (port 0 picks one), unix:PATH, stdio or none [default: {GdbAddress.Default}]",
        HelpName = "where",
    };

    /// <summary>--gdb-expose.</summary>
    public static Option<bool> GdbExpose() => new("--gdb-expose")
    {
        Description = "Allow --gdb an address that other machines can reach: whoever connects owns the guest",
    };

    /// <summary>--engine.</summary>
    public static Option<string?> Engine() => new("--engine")
    {
        Description = $"What executes the guest; both: in lockstep, ending at the first difference [default: {Word(DefaultEngine)}]",
        HelpName = string.Join('|', Engines.Select(engine => engine.Word)),
    };

    /// <summary>What --engine says.</summary>
    public static Engine ReadEngine(ParseResult parsed, Option<string?> engine) => ReadWord(parsed, engine, Engines, DefaultEngine);

    /// <summary>An engine's name on the command line.</summary>
    public static string Word(Engine engine) => Engines.First(pair => pair.Value == engine).Word;

    /// <summary>What --log-level says.</summary>
    public static LogLevel ReadLogLevel(ParseResult parsed) =>
        ReadWord(parsed, LogLevel, LogLevels, Microsoft.Extensions.Logging.LogLevel.Warning);

    /// <summary>What --store says, or what stands for it.</summary>
    public static string ReadStore(ParseResult parsed, Option<string?> store) =>
        StoreDirectory.Resolve(parsed.GetValue(store), Environment.GetEnvironmentVariable);

    /// <summary>What --gdb says; null for none. An exposed address that was not asked to be one is refused.</summary>
    public static GdbEndpoint? ReadGdb(ParseResult parsed, Option<string?> gdb, Option<bool> expose)
    {
        GdbEndpoint? endpoint = Read<GdbEndpoint?>(parsed, gdb, GdbAddress.TryParse, null, GdbAddress.Default);
        return GdbAddress.Refuse(endpoint, parsed.GetValue(expose)) is { } refusal ? throw new UsageError(refusal) : endpoint;
    }

    /// <summary>What an option says; <paramref name="otherwise"/>, or what <paramref name="defaultText"/> says, when it was not given.</summary>
    public static T Read<T>(ParseResult parsed, Option<string?> option, Reader<T> reader, T otherwise, string? defaultText = null)
    {
        string? text = parsed.GetValue(option) ?? defaultText;
        return text is null ? otherwise
            : reader(text, out T value, out string error) ? value
            : throw new UsageError($"{option.Name}: {error}");
    }

    private static bool ReadAddress(string text, out ulong? value, out string error)
    {
        bool read = Number.TryParse(text, out ulong number);
        value = number;
        error = read ? "" : $"'{text}' is not an address: give a number, for example 0 or 0x100000000";
        return read;
    }

    /// <summary>Which of some words an option says.</summary>
    public static T ReadWord<T>(ParseResult parsed, Option<string?> option, (string Word, T Value)[] words, T otherwise)
    {
        if (parsed.GetValue(option) is not { } text)
        {
            return otherwise;
        }

        foreach ((string word, T value) in words)
        {
            if (text == word)
            {
                return value;
            }
        }

        throw new UsageError($"{option.Name}: '{text}' is not one of {string.Join(", ", words.Select(word => word.Word))}");
    }
}
