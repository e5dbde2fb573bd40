using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Xml;
using Cli.Archives;

namespace Cli.Inspection;

/// <summary>One result for scripts. The names are a contract.</summary>
internal sealed record InspectionJson(
    string Id, string Title, string Path, string Status, int? ExitCode, double Seconds, string Output, bool OutputCut);

/// <summary>How results become JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, WriteIndented = true)]
[JsonSerializable(typeof(InspectionJson[]))]
internal sealed partial class InspectionJsonContext : JsonSerializerContext;

/// <summary>Results for people, scripts and build servers.</summary>
internal static class InspectionReport
{
    /// <summary>One result as text.</summary>
    public static string Text(InspectionResult result)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"== {ArchiveText.Printable($"{result.Image.Id} {result.Title}".TrimEnd())}: {Describe(result)}\n");
        foreach (string line in result.Output.TrimEnd('\n').Split('\n'))
        {
            text.Append(ArchiveText.Printable(line)).Append('\n');
        }

        return text.Append('\n').ToString();
    }

    /// <summary>All in one line.</summary>
    public static string Summary(IReadOnlyList<InspectionResult> results)
    {
        var parts = new List<string>();
        foreach (IGrouping<string, InspectionResult> alike in results.GroupBy(result => result.Word))
        {
            parts.Add($"{alike.Count()} {alike.Key}");
        }

        return $"{results.Count} inspected: {string.Join(", ", parts)}\n";
    }

    /// <summary>All as a JSON array.</summary>
    public static string Json(IReadOnlyList<InspectionResult> results)
    {
        InspectionJson[] array =
        [
            .. results.Select(result => new InspectionJson(
                result.Image.Id, result.Title, result.Image.Path, result.Word, result.ExitCode, Math.Round(result.Seconds, 3), result.Output, result.IsCut)),
        ];
        return JsonSerializer.Serialize(array, InspectionJsonContext.Default.InspectionJsonArray) + "\n";
    }

    /// <summary>All as a JUnit report: a test case an image; a failed command is a failure, anything else that went wrong an error.</summary>
    public static string Junit(IReadOnlyList<InspectionResult> results)
    {
        var text = new StringBuilder();
        using (var writer = XmlWriter.Create(text, new XmlWriterSettings { Indent = true, OmitXmlDeclaration = true }))
        {
            writer.WriteStartElement("testsuites");
            writer.WriteStartElement("testsuite");
            writer.WriteAttributeString("name", "gdbstub inspect");
            writer.WriteAttributeString("tests", Number(results.Count));
            writer.WriteAttributeString("failures", Number(results.Count(result => result.Status == InspectionStatus.Failed)));
            writer.WriteAttributeString("errors", Number(results.Count(result => result.Status is not (InspectionStatus.Ok or InspectionStatus.Failed))));
            writer.WriteAttributeString("time", Seconds(results.Sum(result => result.Seconds)));
            foreach (InspectionResult result in results)
            {
                writer.WriteStartElement("testcase");
                writer.WriteAttributeString("classname", Clean(result.Title.Length == 0 ? "unreadable" : result.Title));
                writer.WriteAttributeString("name", Clean(result.Image.Id));
                writer.WriteAttributeString("time", Seconds(result.Seconds));
                if (result.Status != InspectionStatus.Ok)
                {
                    writer.WriteStartElement(result.Status == InspectionStatus.Failed ? "failure" : "error");
                    writer.WriteAttributeString("message", Describe(result));
                    writer.WriteString(Clean(LastLines(result.Output)));
                    writer.WriteEndElement();
                }

                writer.WriteElementString("system-out", Clean(result.Output));
                writer.WriteEndElement();
            }

            writer.WriteEndElement();
            writer.WriteEndElement();
        }

        return $"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{text}\n";

        static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);

        static string Seconds(double seconds) => seconds.ToString("F3", CultureInfo.InvariantCulture);
    }

    private static string Describe(InspectionResult result)
    {
        string cut = result.IsCut ? ", output cut" : "";
        string code = result.Status switch
        {
            InspectionStatus.Failed => $" with exit code {result.ExitCode}",
            InspectionStatus.Crashed => $": gdb was ended by signal {result.ExitCode - 128}",
            _ => "",
        };
        return string.Create(CultureInfo.InvariantCulture, $"{result.Word}{code} ({result.Seconds:F1} s{cut})");
    }

    private static string LastLines(string output) => string.Join('\n', output.TrimEnd('\n').Split('\n').TakeLast(10));

    /// <summary>Without what XML cannot hold.</summary>
    private static string Clean(string text)
    {
        var clean = new StringBuilder(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            if (i + 1 < text.Length && XmlConvert.IsXmlSurrogatePair(text[i + 1], text[i]))
            {
                clean.Append(text[i]).Append(text[++i]);
            }
            else
            {
                clean.Append(XmlConvert.IsXmlChar(text[i]) ? text[i] : '?');
            }
        }

        return clean.ToString();
    }
}
