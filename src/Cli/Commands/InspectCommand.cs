using System.CommandLine;
using System.CommandLine.Parsing;
using Cli.Archives;
using Cli.Arguments;
using Cli.Inspection;
using Cli.Supervision;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub inspect: gdb, headless, on many images.</summary>
internal sealed class InspectCommand : Command, IExample
{
    private const int DefaultLimit = 300;

    private readonly Argument<string[]> images = new("ID|FILE")
    {
        Description = "Archives and files; without any, those of the store that the other options mean, else all of it",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<string[]> commands = new("-x") { Description = "A file of gdb commands; may be given again", HelpName = "file.gdb", Arity = ArgumentArity.OneOrMore };
    private readonly Option<string[]> python = new("-p") { Description = "A Python script, run inside gdb; may be given again", HelpName = "file.py", Arity = ArgumentArity.OneOrMore };
    private readonly Option<string[]> command = new("-c") { Description = "A gdb command; may be given again. All are done in the order given", HelpName = "command", Arity = ArgumentArity.OneOrMore };
    private readonly Option<string?> jobs = new("--jobs", "-j") { Description = "So many at a time [default: the host's CPUs]", HelpName = "n" };
    private readonly Option<string?> timeout = new("--timeout") { Description = $"Seconds each may take [default: {DefaultLimit}]", HelpName = "s" };
    private readonly Option<bool> json = new("--json") { Description = "Results as an array of objects" };
    private readonly Option<bool> junit = new("--junit") { Description = "Results as a JUnit report (XML)" };
    private readonly FilterOptions filters = new();
    private readonly KernelChoices kernels = new();
    private readonly Option<string?> rawBase = CommonOptions.RawBase();
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public InspectCommand()
        : base("inspect", "Runs gdb without a person on each image and tells what came of it. Scripts find what is known of the crash in $panic_title, $kaslr_offset, $guest_release and more.")
    {
        Add(images);
        Option[] options = [commands, python, command, jobs, timeout, json, junit];
        foreach (Option option in options)
        {
            option.AllowMultipleArgumentsPerToken = false;
            Add(option);
        }

        filters.AddTo(this);
        kernels.AddTo(this);
        Add(rawBase);
        Add(store);
        SetAction((parsed, _) => InspectAsync(parsed));
    }

    /// <inheritdoc/>
    public string Example => """
        gdbstub inspect latest -c bt -c 'info registers'
        gdbstub inspect --since 7d -p scripts/gdb/triage.py --jobs 4
        gdbstub inspect ./vmcore -p check.py --timeout 60 --junit > report.xml
        """;

    private async Task<int> InspectAsync(ParseResult parsed)
    {
        bool asJson = parsed.GetValue(json), asJunit = parsed.GetValue(junit);
        if (asJson && asJunit)
        {
            throw new UsageError("--json and --junit exclude each other: give one of them");
        }

        List<InspectionStep> steps = Steps(parsed);
        int parallel = CommonOptions.Read(parsed, jobs, ReadPositive, Environment.ProcessorCount);
        int seconds = CommonOptions.Read(parsed, timeout, ReadPositive, DefaultLimit);
        IReadOnlyList<InspectedImage> meant = Images(parsed);
        var inspector = new Inspector(steps, kernels.Arguments(parsed), parallel, TimeSpan.FromSeconds(seconds));

        EndRequest? ended = null;
        using var cancellation = new CancellationTokenSource();
        using var signals = new SignalWatch(request =>
        {
            ended ??= request;
            cancellation.Cancel();
        });
        bool stream = !asJson && !asJunit && !ProgressBar.IsPossible;
        IReadOnlyList<InspectionResult> results = stream
            ? await StreamAsync(inspector, meant, cancellation.Token)
            : await ProgressBar.ShowIfPossibleAsync("inspecting", progress => inspector.RunAsync(meant, Share(meant.Count, progress), cancellation.Token));
        string report = asJson ? InspectionReport.Json(results)
            : asJunit ? InspectionReport.Junit(results)
            : (stream ? "" : string.Concat(results.Select(InspectionReport.Text))) + InspectionReport.Summary(results);
        Console.Out.Write(report);
        return ended?.ExitCode ?? (results.All(result => result.Status == InspectionStatus.Ok) ? ExitCode.Success : ExitCode.Error);
    }

    /// <summary>Prints each result as soon as it and those before it are there.</summary>
    private static Task<IReadOnlyList<InspectionResult>> StreamAsync(Inspector inspector, IReadOnlyList<InspectedImage> images, CancellationToken cancellation)
    {
        var waiting = new InspectionResult?[images.Count];
        int next = 0;
        return inspector.RunAsync(
            images,
            (index, result) =>
            {
                waiting[index] = result;
                while (next < waiting.Length && waiting[next] is { } ready)
                {
                    Console.Out.Write(InspectionReport.Text(ready));
                    next++;
                }
            },
            cancellation);
    }

    private static Action<int, InspectionResult> Share(int total, Action<double> progress)
    {
        int count = 0;
        return (_, _) => progress((double)++count / total);
    }

    private static bool ReadPositive(string text, out int value, out string error)
    {
        bool read = Number.TryParse(text, out ulong number) && number is > 0 and <= 1_000_000;
        value = (int)Math.Min(number, 1_000_000);
        error = read ? "" : $"'{text}' is not a number from 1 on";
        return read;
    }

    /// <summary>-x, -p and -c in the order in which they stand: the parser keeps each kind apart, its tokens do not.</summary>
    private List<InspectionStep> Steps(ParseResult parsed)
    {
        List<InspectionStep> steps = [];
        IReadOnlyList<Token> tokens = parsed.Tokens;
        for (int i = 0; i + 1 < tokens.Count; i++)
        {
            if (tokens[i].Type != TokenType.Option)
            {
                continue;
            }

            string value = tokens[i + 1].Value;
            switch (tokens[i].Value)
            {
                case "-x":
                    steps.Add(new InspectionStep.Commands(Script(value)));
                    break;
                case "-p":
                    steps.Add(new InspectionStep.Python(Script(value)));
                    break;
                case "-c":
                    steps.Add(value.Contains('\n', StringComparison.Ordinal)
                        ? throw new UsageError("-c: a command is one line; give more of them, or a file with -x")
                        : new InspectionStep.Command(value));
                    break;
            }
        }

        return steps.Count > 0 ? steps : throw new UsageError("nothing to do: give -x FILE.gdb, -p FILE.py or -c COMMAND");
    }

    private static string Script(string path) =>
        File.Exists(path) ? Path.GetFullPath(path) : throw new UserError($"there is no file {path}");

    private IReadOnlyList<InspectedImage> Images(ParseResult parsed)
    {
        string directory = CommonOptions.ReadStore(parsed, store);
        ulong? ram = CommonOptions.ReadRawBase(parsed, rawBase);
        string[] names = parsed.GetValue(images) ?? [];
        if (names.Length > 0 && filters.AreGiven(parsed))
        {
            throw new UsageError("images and what narrows the list exclude each other: give one or the other");
        }

        if (names.Length > 0)
        {
            return [.. names.Select(name => Image(name, directory, ram))];
        }

        InspectedImage[] all = [.. filters.Read(parsed).Apply(Store.Open(directory).List()).Select(archive => new InspectedImage(archive.Id, archive.Path, null))];
        return all.Length > 0 ? all : throw new UserError($"no archives in {directory} are meant: 'gdbstub ls' lists them");
    }

    private static InspectedImage Image(string name, string directory, ulong? rawBase)
    {
        string path = ArchiveReference.ResolvePath(name, directory);
        return ArchiveReference.IsFile(name) || !ArchiveReference.IsInStore(name, directory)
            ? new InspectedImage(name, path, rawBase)
            : new InspectedImage(ArchiveReference.Find(name, directory).Id, path, null);
    }
}
