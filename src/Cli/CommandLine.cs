using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using Cli.Commands;
using Emulator.Boot;
using Microsoft.Extensions.Logging;

namespace Cli;

/// <summary>The tree of commands, and what every one of them has in common: help with an example, errors in one line, exit codes.</summary>
internal static class CommandLine
{
    private const string Example = """
        gdbstub demo                                          shows it all
        gdbstub run --kernel vmlinuz --initrd initrd --append "console=ttyS0 panic=1"
        gdbstub ls                                            the archived crashes
        gdbstub debug latest                                  gdb on the newest one
        """;

    private const string ExitCodes = """
        0  powered off, or done
        1  an error, named by one line on standard error
        2  wrong usage
        3  a panic was archived
        """;

    /// <summary>The whole tree.</summary>
    public static Command Create() => new("gdbstub", "Runs x86-64 guests, keeps the machine of one that panicked, and serves it to gdb and lldb.")
    {
        CommonOptions.LogLevel,
        new HelpOption { Action = new HelpWithExample() },
        new VersionOption(),
        new RunCommand(),
        new UpCommand(),
        new ProcessesCommand(),
        new ListCommand(),
        new ShowCommand(),
        new ServeCommand(),
        new DebugCommand(),
        new DiffCommand(),
        new InspectCommand(),
        new SymbolsCommand(),
        new ImportCommand(),
        new ExportCommand(),
        new VerifyCommand(),
        new RemoveCommand(),
        new PruneCommand(),
        new DemoCommand(),
    };

    /// <summary>Does what the arguments say; returns the exit code. Never throws.</summary>
    public static async Task<int> InvokeAsync(IReadOnlyList<string> arguments)
    {
        ParseResult parsed = Create().Parse(arguments);
        if (parsed.Action is ParseErrorAction)
        {
            return WrongUsage(parsed, Explain(parsed));
        }

        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,

                // Signals are a run's own business: it has things to bring to an end.
                ProcessTerminationTimeout = null,
            });
        }
        catch (UsageError wrong)
        {
            return WrongUsage(parsed, wrong.Message);
        }
        catch (Exception failure)
        {
            string message = failure is UserError or IOException or UnauthorizedAccessException or BootException
                ? failure.Message
                : $"{failure.Message} ({failure.GetType().Name}: this is a bug of gdbstub's; --log-level debug shows where)";
            Console.Error.WriteLine($"gdbstub: {OneLine(message)}");
            if (CommonOptions.ReadLogLevel(parsed) <= LogLevel.Debug)
            {
                Console.Error.WriteLine(failure);
            }

            return ExitCode.Error;
        }
    }

    private static int WrongUsage(ParseResult parsed, string message)
    {
        string path = PathOf(parsed.CommandResult);
        Console.Error.WriteLine($"{path}: {OneLine(message)} (see {path} --help)");
        return ExitCode.Usage;
    }

    private static string Explain(ParseResult parsed) => parsed.CommandResult.Command.Subcommands.Count > 0 && parsed.UnmatchedTokens.Count > 0
        ? $"'{parsed.UnmatchedTokens[0]}' is not a command: choose one of {string.Join(", ", parsed.CommandResult.Command.Subcommands.Select(command => command.Name))}"
        : parsed.Errors[0].Message;

    private static string PathOf(CommandResult command) =>
        command.Parent is CommandResult parent ? $"{PathOf(parent)} {command.Command.Name}" : command.Command.Name;

    private static string OneLine(string text) => text.ReplaceLineEndings(" ").Trim();

    /// <summary>The usual help, the command's example, and what the exit codes mean.</summary>
    private sealed class HelpWithExample : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            new HelpAction().Invoke(parseResult);
            TextWriter output = parseResult.InvocationConfiguration.Output;
            Write(output, "Example:", parseResult.CommandResult.Command is IExample command ? command.Example : Example);
            Write(output, "Exit codes:", ExitCodes);
            return ExitCode.Success;
        }

        private static void Write(TextWriter output, string title, string lines)
        {
            output.WriteLine(title);
            foreach (string line in lines.Split('\n'))
            {
                output.WriteLine($"  {line}");
            }

            output.WriteLine();
        }
    }
}
