using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security;
using System.Text;
using GdbStub.Targets;

namespace GdbStub.Packets;

/// <summary>The XML documents of qXfer. Sources: "Target Description Format" and "Thread List Format" in gdb's manual.</summary>
internal static class TransferDocuments
{
    private static readonly ConditionalWeakTable<TargetDescription, byte[]> Written = [];

    /// <summary>target.xml; written once a description.</summary>
    public static byte[] Features(TargetDescription description) => Written.GetValue(description, WriteFeatures);

    /// <summary>The thread list.</summary>
    public static byte[] Threads(IReadOnlyList<TargetThread> threads)
    {
        var xml = new StringBuilder("<?xml version=\"1.0\"?>\n<threads>\n");
        foreach (TargetThread thread in threads)
        {
            xml.Append(CultureInfo.InvariantCulture, $"  <thread id=\"{thread.Id:x}\" name=\"{Escape(thread.Name)}\"");
            if (thread.Core is { } core)
            {
                xml.Append(CultureInfo.InvariantCulture, $" core=\"{core}\"");
            }

            xml.Append(CultureInfo.InvariantCulture, $">{Escape(thread.State)}</thread>\n");
        }

        return Encoding.UTF8.GetBytes(xml.Append("</threads>\n").ToString());
    }

    private static byte[] WriteFeatures(TargetDescription description)
    {
        var xml = new StringBuilder("<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n");
        xml.Append(CultureInfo.InvariantCulture, $"  <architecture>{Escape(description.Architecture)}</architecture>\n");
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

    private static string Escape(string text) => SecurityElement.Escape(text);
}
