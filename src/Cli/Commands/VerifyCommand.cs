using System.CommandLine;
using Cli.Archives;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub verify: reads an archive to its last byte.</summary>
internal sealed class VerifyCommand : Command, IExample
{
    private readonly Argument<string> archive = CommonOptions.ArchiveIdOrFile();
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public VerifyCommand()
        : base("verify", "Checks every byte of an archive against its checksums.")
    {
        Add(archive);
        Add(store);
        SetAction(parsed => Verify(ArchiveReference.ResolvePath(parsed.GetRequiredValue(archive), CommonOptions.ReadStore(parsed, store))));
    }

    /// <inheritdoc/>
    public string Example => "gdbstub verify latest\ngdbstub verify /backup/3f9a1c22d0.kdump";

    private static int Verify(string path)
    {
        VerifyReport? report = null;
        ProgressBar.ShowIfPossible("verifying", progress => report = ArchiveVerifier.Verify(path, new ArchiveShare(progress)));
        foreach (ArchiveProblem problem in report!.Problems)
        {
            string place = problem.Offset is { } offset ? $"offset 0x{offset:x}: " : "";
            Console.Out.WriteLine($"{place}{problem.Field}: {ArchiveText.Printable(problem.Message)}");
        }

        if (report.IsWhole)
        {
            Console.Out.WriteLine($"{path}: whole ({report.Pages} pages, {report.Blocks} of them stored)");
            return ExitCode.Success;
        }

        throw new UserError($"{path} is damaged in {report.ProblemCount} {(report.ProblemCount == 1 ? "place" : "places")}: what the list above does not name can still be read with 'gdbstub serve'");
    }
}
