namespace Emulator.Boot;

/// <summary>The ACPI tables as they lie in memory.</summary>
public sealed class AcpiImage
{
    private readonly (string Signature, int Offset, int Length)[] tables;

    internal AcpiImage(ulong address, byte[] bytes, (string Signature, int Offset, int Length)[] tables)
    {
        Address = address;
        Bytes = bytes;
        this.tables = tables;
    }

    /// <summary>Where <see cref="Bytes"/> belong, 4 KiB aligned; the memory map must keep them from use as RAM.</summary>
    public ulong Address { get; }

    /// <summary>All tables, the RSDP first.</summary>
    public byte[] Bytes { get; }

    /// <summary>The root pointer, for boot protocols that pass it on; guests that look for it find it too (16-byte aligned below 1 MiB).</summary>
    public ulong RsdpAddress => Address;

    /// <summary>The signatures of the tables, in the order they lie.</summary>
    public IEnumerable<string> Signatures
    {
        get
        {
            foreach ((string signature, _, _) in tables)
            {
                yield return signature;
            }
        }
    }

    /// <summary>One table by its signature ("FACP", "APIC", …); empty when there is none.</summary>
    public ReadOnlySpan<byte> Table(string signature)
    {
        foreach ((string name, int offset, int length) in tables)
        {
            if (name == signature)
            {
                return Bytes.AsSpan(offset, length);
            }
        }

        return default;
    }
}
