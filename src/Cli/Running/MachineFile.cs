using System.CommandLine;
using System.Text;
using System.Text.Json;
using Cli.Commands;
using GdbStub.Sessions;

namespace Cli.Running;

/// <summary>
/// The file that describes several machines: an object with <c>machines</c>, an array of objects, and perhaps <c>defaults</c>, an
/// object like one of them. Every option of `gdbstub run` is a member under its own name in camel case (--max-reboots is
/// maxReboots), a flag is true or false, and what may be given again is an array. Names of files are relative to the file
/// itself. Comments and trailing commas are allowed.
/// </summary>
internal static class MachineFile
{
    /// <summary>Machines a file may describe.</summary>
    public const int MostMachines = 1000;

    private const int MostBytes = 16 << 20;
    private static readonly string[] Files = ["kernel", "initrd", "store"];
    private static readonly string[] FilesOrWords = ["console", "debugPort", "vmlinux"];
    private static readonly string[] Refused = ["json", "stats", "help", "logLevel", "version"];

    /// <summary>Reads it. What is wrong is a <see cref="UserError"/> that names the file, the machine and the member.</summary>
    /// <param name="path">The file.</param>
    /// <param name="store">The store of machines that name none.</param>
    public static IReadOnlyList<RunOptions> Read(string path, string store)
    {
        using JsonDocument document = Parse(path);
        if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("machines", out JsonElement machines)
            || machines.ValueKind != JsonValueKind.Array)
        {
            throw new UserError($"{path}: an object with an array \"machines\" is needed");
        }

        foreach (JsonProperty member in document.RootElement.EnumerateObject())
        {
            if (member.Name is not ("machines" or "defaults"))
            {
                throw new UserError($"{path}: there is no member \"{member.Name}\": only \"machines\" and \"defaults\"");
            }
        }

        int count = machines.GetArrayLength();
        if (count is 0 or > MostMachines)
        {
            throw new UserError($"{path}: {count} machines; 1 to {MostMachines} can be");
        }

        document.RootElement.TryGetProperty("defaults", out JsonElement defaults);
        string directory = Path.GetDirectoryName(Path.GetFullPath(path))!;
        List<RunOptions> all = [];
        HashSet<string> names = [];
        foreach (JsonElement machine in machines.EnumerateArray())
        {
            RunOptions options = ReadMachine($"{path}: machine {all.Count + 1}", machine, defaults, directory, store);
            if (!names.Add(options.Name))
            {
                throw new UserError($"{path}: machine {all.Count + 1}: there is another machine '{options.Name}': give each a \"name\" of its own");
            }

            all.Add(options);
        }

        return all;
    }

    private static JsonDocument Parse(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            if (file.Length > MostBytes)
            {
                throw new UserError($"{path}: {file.Length} bytes; {MostBytes} are allowed");
            }

            return JsonDocument.Parse(file, new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
        }
        catch (JsonException wrong)
        {
            throw new UserError($"{path}: line {wrong.LineNumber + 1}: {wrong.Message}", wrong);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new UserError($"cannot read {path}: {failure.Message}", failure);
        }
    }

    private static RunOptions ReadMachine(string where, JsonElement machine, JsonElement defaults, string directory, string store)
    {
        if (machine.ValueKind != JsonValueKind.Object || defaults.ValueKind is not (JsonValueKind.Object or JsonValueKind.Undefined))
        {
            throw new UserError($"{where}: it must be an object, and so must \"defaults\"");
        }

        var members = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (JsonElement part in (JsonElement[])[defaults, machine])
        {
            if (part.ValueKind == JsonValueKind.Object)
            {
                foreach (JsonProperty member in part.EnumerateObject())
                {
                    members[member.Name] = member.Value;
                }
            }
        }

        var command = new RunCommand();
        List<string> arguments = [];
        foreach ((string name, JsonElement value) in members)
        {
            string option = OptionOf(name);
            if (Array.IndexOf(Refused, name) >= 0 || !command.Options.Any(known => known.Name == option))
            {
                throw new UserError($"{where}: there is no member \"{name}\": they are the options of 'gdbstub run' in camel case");
            }

            foreach (string argument in Values($"{where}: {name}", name, value, directory))
            {
                arguments.AddRange(argument.Length == 0 ? [option] : [$"{option}={argument}"]);
            }
        }

        if (!members.ContainsKey("store"))
        {
            arguments.Add($"--store={store}");
        }

        // One of several has no terminal for itself, and says nothing unless it is told to.
        if (!members.ContainsKey("console"))
        {
            arguments.Add("--console=none");
        }

        ParseResult parsed = command.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            throw new UserError($"{where}: {parsed.Errors[0].Message}");
        }

        try
        {
            RunOptions options = command.Read(parsed);
            return options.Gdb is GdbEndpoint.Stdio ? throw new UsageError("gdb: one of several machines cannot have standard input and output") : options;
        }
        catch (UsageError wrong)
        {
            throw new UserError($"{where}: {wrong.Message}", wrong);
        }
    }

    /// <summary>--max-reboots of maxReboots.</summary>
    private static string OptionOf(string member)
    {
        var option = new StringBuilder("--");
        foreach (char letter in member)
        {
            option.Append(char.IsAsciiLetterUpper(letter) ? $"-{char.ToLowerInvariant(letter)}" : letter.ToString());
        }

        return option.ToString();
    }

    /// <summary>What a member's value is as arguments; an empty one stands for a flag.</summary>
    private static IEnumerable<string> Values(string where, string name, JsonElement value, string directory)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.True:
                yield return "";
                break;
            case JsonValueKind.False or JsonValueKind.Null:
                break;
            case JsonValueKind.Number:
                yield return value.GetRawText();
                break;
            case JsonValueKind.String when value.GetString() is { Length: > 0 } text:
                yield return Located(name, text, directory);
                break;
            case JsonValueKind.Array:
                foreach (JsonElement element in value.EnumerateArray())
                {
                    yield return element is { ValueKind: JsonValueKind.String } && element.GetString() is { Length: > 0 } one
                        ? Located(name, one, directory)
                        : throw new UserError($"{where}: an array of texts is needed");
                }

                break;
            case JsonValueKind.String:
                break;
            default:
                throw new UserError($"{where}: a text, a number, true, false or an array of texts is needed");
        }
    }

    private static string Located(string name, string text, string directory) =>
        Array.IndexOf(Files, name) >= 0 || (Array.IndexOf(FilesOrWords, name) >= 0 && text is not ("stdio" or "none" or "console"))
            ? Path.Combine(directory, text)
            : name == "module" ? ModulePath(text, directory)
            : text;

    private static string ModulePath(string text, string directory)
    {
        int space = text.IndexOf(' ', StringComparison.Ordinal);
        return space < 0 ? Path.Combine(directory, text) : Path.Combine(directory, text[..space]) + text[space..];
    }
}
