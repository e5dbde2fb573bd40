using System.CommandLine;
using Cli.Archives;
using Cli.Pages;

namespace Cli.Commands;

/// <summary>gdbstub show: the page one wants first of a crash.</summary>
internal sealed class ShowCommand : Command, IExample
{
    private readonly Argument<string> id = CommonOptions.ArchiveIdOrFile();
    private readonly Option<string?> rawBase = CommonOptions.RawBase();
    private readonly Option<bool> json = new("--json") { Description = "One object" };
    private readonly Option<bool> log = new("--log") { Description = "The guest's log alone, from its first line on" };
    private readonly Option<string?> html = new("--html") { Description = "Write the page for a browser, as one file that needs nothing else", HelpName = "file" };
    private readonly Option<bool> noPager = Pager.Option();
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public ShowCommand()
        : base("show", "Shows a crash: what it is called, when, what kernel, registers, log, stacks, tasks, memory, and how to attach.")
    {
        Add(id);
        Option[] options = [json, log, html, noPager, rawBase, store];
        foreach (Option option in options)
        {
            Add(option);
        }

        SetAction(parsed =>
        {
            bool asJson = parsed.GetValue(json), onlyLog = parsed.GetValue(log);
            string? file = parsed.GetValue(html);
            if ((asJson ? 1 : 0) + (onlyLog ? 1 : 0) + (file is null ? 0 : 1) > 1)
            {
                throw new UsageError("--json, --log and --html exclude each other: give one of them");
            }

            ulong? ram = CommonOptions.ReadRawBase(parsed, rawBase);
            using NamedImage image = NamedImage.Open(parsed.GetRequiredValue(id), CommonOptions.ReadStore(parsed, store), ram);
            CrashPage page = CrashPage.Read(image.Image, image.Describe);
            if (file is not null)
            {
                WriteFile(file, CrashPageHtml.Write(page));
            }
            else if (asJson)
            {
                Console.Out.Write(CrashPageJson.Write(page));
            }
            else
            {
                Pager.Show(onlyLog ? CrashPageText.WriteLog(page) : CrashPageText.Write(page), parsed.GetValue(noPager));
            }
        });
    }

    /// <inheritdoc/>
    public string Example => "gdbstub show latest\ngdbstub show 3f --html crash.html\ngdbstub show 3f --json\ngdbstub show ./vmcore";

    // Under its name only when it is whole: somebody may be looking at the one before.
    private static void WriteFile(string path, string text)
    {
        string temporary = $"{path}.{Environment.ProcessId}.partial";
        try
        {
            File.WriteAllText(temporary, text);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            File.Delete(temporary);
            throw new UserError($"cannot write {path}: {failure.Message}", failure);
        }

        Console.Out.WriteLine($"wrote {path}");
    }
}
