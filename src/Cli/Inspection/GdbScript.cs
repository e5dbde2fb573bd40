using System.Globalization;
using System.Text;
using Snapshots;

namespace Cli.Inspection;

/// <summary>A step of an inspection.</summary>
internal abstract record InspectionStep
{
    /// <summary>-x: a file of gdb commands.</summary>
    public sealed record Commands(string Path) : InspectionStep;

    /// <summary>-p: a Python script, run inside gdb.</summary>
    public sealed record Python(string Path) : InspectionStep;

    /// <summary>-c: one gdb command.</summary>
    public sealed record Command(string Text) : InspectionStep;
}

/// <summary>
/// The one file of commands that gdb is given for an image. gdb gives a file up at its first error and says so in its exit
/// code, which it does not do for commands of its own command line: so the connection and all steps stand in one.
/// </summary>
internal static class GdbScript
{
    /// <summary>Writes it.</summary>
    /// <param name="stub">The command that serves the image on its standard input and output, for a shell.</param>
    /// <param name="image">The image.</param>
    /// <param name="capture">What is known of its crash.</param>
    /// <param name="memoryBytes">Bytes of its RAM.</param>
    /// <param name="steps">What to do then.</param>
    public static string Write(string stub, InspectedImage image, CaptureInfo capture, ulong memoryBytes, IReadOnlyList<InspectionStep> steps)
    {
        var text = new StringBuilder();
        text.Append("set pagination off\nset confirm off\nset width 0\nset height 0\nset style enabled off\nset language c\n");
        Text("panic_title", capture.Title);
        Text("panic_line", capture.PanicLine);
        Text("panic_fault", capture.Fault);
        Text("panic_cause", capture.Cause);
        Number("panic_cpu", (ulong)capture.CurrentVcpu);
        Number("kaslr_offset", capture.KernelOffset ?? 0);
        Text("guest_release", capture.GuestRelease);
        Text("build_id", capture.BuildId);
        Text("machine_name", capture.MachineName);
        Text("command_line", capture.CommandLine);
        Number("guest_nanoseconds", capture.GuestNanoseconds);
        Number("host_time", (ulong)Math.Max(0, capture.HostTime.ToUnixTimeSeconds()));
        Number("memory_bytes", memoryBytes);
        Text("archive_id", image.Id);
        Text("archive_path", Path.GetFullPath(image.Path));
        text.Append("set language auto\n");
        text.Append(CultureInfo.InvariantCulture, $"target remote | exec {stub}\n");
        foreach (InspectionStep step in steps)
        {
            text.Append(step switch
            {
                InspectionStep.Commands commands => $"source {commands.Path}\n",
                InspectionStep.Python python => $"python exec(compile(open({PythonText(python.Path)}).read(), {PythonText(python.Path)}, 'exec'))\n",
                InspectionStep.Command command => command.Text + "\n",
                _ => throw new ArgumentOutOfRangeException(nameof(steps)),
            });
        }

        return text.ToString();

        void Text(string name, string? value) => text.Append(CultureInfo.InvariantCulture, $"set ${name} = \"{Escape(value ?? "")}\"\n");

        void Number(string name, ulong value) => text.Append(CultureInfo.InvariantCulture, $"set ${name} = 0x{value:x}\n");
    }

    /// <summary>A C string's inside. A guest chooses the words: no quote, no newline and no backslash of its may end the string.</summary>
    public static string Escape(string value)
    {
        var text = new StringBuilder();
        foreach (byte letter in Encoding.UTF8.GetBytes(value))
        {
            if (letter is < 0x20 or > 0x7E or (byte)'"' or (byte)'\\')
            {
                text.Append(CultureInfo.InvariantCulture, $"\\{Convert.ToString(letter, 8).PadLeft(3, '0')}");
            }
            else
            {
                text.Append((char)letter);
            }
        }

        return text.ToString();
    }

    private static string PythonText(string value) => $"\"{Escape(value)}\"";
}
