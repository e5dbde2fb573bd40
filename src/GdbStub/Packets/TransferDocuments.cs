using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security;
using System.Text;
using System.Xml;
using GdbStub.Sessions;
using GdbStub.Targets;

namespace GdbStub.Packets;

/// <summary>The XML documents of qXfer. Sources: "Target Description Format" and "Thread List Format" in gdb's manual.</summary>
internal static class TransferDocuments
{
    private static readonly ConditionalWeakTable<TargetDescription, byte[]> Written = [];

    /// <summary>target.xml; written once a description.</summary>
    public static byte[] Features(TargetDescription description) => Written.GetValue(description, WriteFeatures);

    /// <summary>The thread list, of all processes where ids name them.</summary>
    public static byte[] Threads(GdbSession session)
    {
        var xml = new StringBuilder("<?xml version=\"1.0\"?>\n<threads>\n");
        foreach (Attachment source in session.Attached)
        {
            if (!session.Multiprocess && source != session.General)
            {
                continue;
            }

            foreach (TargetThread thread in source.Threads)
            {
                string process = session.Multiprocess ? string.Create(CultureInfo.InvariantCulture, $"p{source.Process:x}.") : "";
                xml.Append(CultureInfo.InvariantCulture, $"  <thread id=\"{process}{thread.Id:x}\" name=\"{Escape(thread.Name)}\"");
                if (thread.Core is { } core)
                {
                    xml.Append(CultureInfo.InvariantCulture, $" core=\"{core}\"");
                }

                xml.Append(CultureInfo.InvariantCulture, $">{Escape(thread.State)}</thread>\n");
            }
        }

        return Encoding.UTF8.GetBytes(xml.Append("</threads>\n").ToString());
    }

    /// <summary>The memory map. Source: "Memory Map Format".</summary>
    public static byte[] MemoryMap(IReadOnlyList<MemoryMapEntry> entries)
    {
        var xml = new StringBuilder("<?xml version=\"1.0\"?>\n<memory-map>\n");
        foreach (MemoryMapEntry entry in entries)
        {
            string kind = entry.Kind == MemoryKind.Rom ? "rom" : "ram";
            xml.Append(CultureInfo.InvariantCulture, $"  <memory type=\"{kind}\" start=\"0x{entry.Start:x}\" length=\"0x{entry.Length:x}\"/>\n");
        }

        return Encoding.UTF8.GetBytes(xml.Append("</memory-map>\n").ToString());
    }

    /// <summary>A table of info os: the list of tables, the processes of the endpoint, or one of the target's. Null when there is none of that name.</summary>
    public static ReadOnlyMemory<byte>? SystemData(string name, GdbSession session)
    {
        IProcesses? processes = session.Provider.Processes;
        ISystemTables?[] others = [session.Attached.Count > 0 && session.General.Readable ? session.Target.Tables : null, processes?.Tables];
        if (name.Length == 0)
        {
            var rows = new List<IReadOnlyList<string>>();
            if (processes is not null)
            {
                rows.Add(["processes", "Listing of what can be attached to", "Processes"]);
            }

            foreach (ISystemTables? tables in others)
            {
                rows.AddRange((tables?.Names ?? []).Select(one => (IReadOnlyList<string>)[one.Name, one.Description, one.Title]));
            }

            return Table("types", new SystemTable(["Type", "Description", "Title"], rows));
        }

        if (name == "processes" && processes is not null)
        {
            return Table(name, Processes(processes.List));
        }

        foreach (ISystemTables? tables in others)
        {
            if (tables?.Read(name) is { } table)
            {
                return Table(name, table);
            }
        }

        return null;
    }

    private static SystemTable Processes(IReadOnlyList<TargetProcess> list) => new(
        ["pid", "user", "command", .. list.Count == 0 ? [] : list[0].Details.Select(detail => detail.Column)],
        [.. list.Select(one => (IReadOnlyList<string>)
            [one.Id.ToString(CultureInfo.InvariantCulture), one.User, one.Name, .. one.Details.Select(detail => detail.Value)])]);

    /// <summary>Source: "Operating System Information" in gdb's manual.</summary>
    private static byte[] Table(string name, SystemTable table)
    {
        var xml = new StringBuilder("<?xml version=\"1.0\"?>\n");
        xml.Append(CultureInfo.InvariantCulture, $"<osdata type=\"{Escape(name)}\">\n");
        foreach (IReadOnlyList<string> row in table.Rows)
        {
            xml.Append("  <item>");
            for (int i = 0; i < Math.Min(row.Count, table.Columns.Count); i++)
            {
                xml.Append(CultureInfo.InvariantCulture, $"<column name=\"{Escape(table.Columns[i])}\">{Escape(row[i])}</column>");
            }

            xml.Append("</item>\n");
        }

        return Encoding.UTF8.GetBytes(xml.Append("</osdata>\n").ToString());
    }

    private static byte[] WriteFeatures(TargetDescription description)
    {
        var xml = new StringBuilder("<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n");
        xml.Append(CultureInfo.InvariantCulture, $"  <architecture>{Escape(description.Architecture)}</architecture>\n");
        if (description.OsAbi is { } abi)
        {
            xml.Append(CultureInfo.InvariantCulture, $"  <osabi>{Escape(abi)}</osabi>\n");
        }

        foreach (RegisterFeature feature in description.Features)
        {
            xml.Append(CultureInfo.InvariantCulture, $"  <feature name=\"{Escape(feature.Name)}\">\n");
            foreach (RegisterType type in feature.Types)
            {
                WriteType(xml, type);
            }

            foreach (RegisterInfo register in feature.Registers)
            {
                xml.Append(CultureInfo.InvariantCulture, $"    <reg name=\"{Escape(register.Name)}\" bitsize=\"{register.BitSize}\" type=\"{Escape(register.Type)}\" regnum=\"{register.Number}\"");
                Attribute(xml, "group", register.Group);
                Attribute(xml, "altname", register.AlternateName);
                Attribute(xml, "generic", register.Generic);
                Attribute(xml, "dwarf_regnum", register.DwarfNumber?.ToString(CultureInfo.InvariantCulture));
                Attribute(xml, "ehframe_regnum", register.EhFrameNumber?.ToString(CultureInfo.InvariantCulture));
                Attribute(xml, "encoding", register.Encoding);
                Attribute(xml, "format", register.Format);
                xml.Append("/>\n");
            }

            xml.Append("  </feature>\n");
        }

        return Encoding.UTF8.GetBytes(xml.Append("</target>\n").ToString());
    }

    private static void WriteType(StringBuilder xml, RegisterType type)
    {
        switch (type)
        {
            case VectorType vector:
                xml.Append(CultureInfo.InvariantCulture, $"    <vector id=\"{vector.Id}\" type=\"{vector.Element}\" count=\"{vector.Count}\"/>\n");
                break;

            case UnionType union:
                xml.Append(CultureInfo.InvariantCulture, $"    <union id=\"{union.Id}\">\n");
                foreach ((string name, string field) in union.Fields)
                {
                    xml.Append(CultureInfo.InvariantCulture, $"      <field name=\"{name}\" type=\"{field}\"/>\n");
                }

                xml.Append("    </union>\n");
                break;

            case FlagsType flags:
                xml.Append(CultureInfo.InvariantCulture, $"    <flags id=\"{flags.Id}\" size=\"{flags.Size}\">\n");
                foreach ((string name, int start, int end) in flags.Fields)
                {
                    xml.Append(CultureInfo.InvariantCulture, $"      <field name=\"{name}\" start=\"{start}\" end=\"{end}\"/>\n");
                }

                xml.Append("    </flags>\n");
                break;

            default:
                throw new NotSupportedException($"register type {type.Id} has no XML form");
        }
    }

    private static void Attribute(StringBuilder xml, string name, string? value)
    {
        if (value is not null)
        {
            xml.Append(CultureInfo.InvariantCulture, $" {name}=\"{Escape(value)}\"");
        }
    }

    /// <summary>Text for XML: characters XML cannot carry at all become blanks.</summary>
    private static string Escape(string text)
    {
        bool plain = true;
        foreach (char character in text)
        {
            plain &= XmlConvert.IsXmlChar(character);
        }

        return SecurityElement.Escape(plain ? text : string.Create(text.Length, text, static (target, source) =>
        {
            for (int i = 0; i < target.Length; i++)
            {
                target[i] = XmlConvert.IsXmlChar(source[i]) ? source[i] : ' ';
            }
        }));
    }
}
