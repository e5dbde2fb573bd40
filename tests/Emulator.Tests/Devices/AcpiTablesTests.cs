using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using Emulator.Boot;

namespace Emulator.Tests.Devices;

public sealed class AcpiTablesTests
{
    private static readonly string[] WithHeader = ["DSDT", "FACP", "APIC", "HPET", "ERST", "RSDT", "XSDT"];

    [Fact]
    public void Every_length_and_checksum_is_right()
    {
        AcpiImage image = Build(4);
        Assert.Equal(0xE0000UL, image.Address);
        Assert.Equal(["RSD PTR ", "FACS", "DSDT", "FACP", "APIC", "HPET", "ERST", "RSDT", "XSDT"], image.Signatures);
        foreach (string signature in WithHeader)
        {
            ReadOnlySpan<byte> table = image.Table(signature);
            Assert.Equal(signature, Encoding.ASCII.GetString(table[..4]));
            Assert.Equal((uint)table.Length, U32(table, 4));
            Assert.Equal(0, Sum(table));
        }

        ReadOnlySpan<byte> root = image.Table("RSD PTR ");
        Assert.Equal("RSD PTR ", Encoding.ASCII.GetString(root[..8]));
        Assert.Equal((2, 36U), (root[15], U32(root, 20)));
        Assert.Equal((0, 0), (Sum(root[..20]), Sum(root)));
        Assert.Equal((64, 64U), (image.Table("FACS").Length, U32(image.Table("FACS"), 4)));
    }

    [Fact]
    public void Both_roots_lead_to_the_same_tables_and_the_fadt_to_its_own()
    {
        AcpiImage image = Build(1);
        ReadOnlySpan<byte> root = image.Table("RSD PTR ");
        ReadOnlySpan<byte> rsdt = At(image, U32(root, 16)), xsdt = At(image, U64(root, 24));
        Assert.Equal(36 + (4 * 4), rsdt.Length);
        Assert.Equal(36 + (4 * 8), xsdt.Length);
        var found = new List<string>();
        for (int i = 0; i < 4; i++)
        {
            Assert.Equal(U32(rsdt, 36 + (4 * i)), U64(xsdt, 36 + (8 * i)));
            found.Add(Encoding.ASCII.GetString(At(image, U64(xsdt, 36 + (8 * i)))[..4]));
        }

        Assert.Equal(["FACP", "APIC", "HPET", "ERST"], found);
        ReadOnlySpan<byte> fadt = image.Table("FACP");
        Assert.Equal("DSDT", Encoding.ASCII.GetString(At(image, U32(fadt, 40))[..4]));
        Assert.Equal(U32(fadt, 40), U64(fadt, 140));
        Assert.Equal("FACS", Encoding.ASCII.GetString(image.Bytes.AsSpan((int)(U32(fadt, 36) - image.Address), 4)));
        Assert.Equal(0U, U32(fadt, 36) % 64);
    }

    [Fact]
    public void Fadt_names_the_registers_where_the_chipset_has_them()
    {
        ReadOnlySpan<byte> fadt = Build(1).Table("FACP");
        Assert.Equal((276, 6), (fadt.Length, fadt[8]));
        Assert.Equal((9, 0xB2U, 0xF1, 0xF0), (U16(fadt, 46), U32(fadt, 48), fadt[52], fadt[53]));
        Assert.Equal((0x600U, 0x604U, 0x608U), (U32(fadt, 56), U32(fadt, 64), U32(fadt, 76)));
        Assert.Equal((4, 2, 4), (fadt[88], fadt[89], fadt[91]));
        Assert.Equal((0x32, 7), (fadt[108], U16(fadt, 109)));

        // WBINVD, C1, no sleep button, clock wake not fixed, 32-bit timer, reset register; the power button is fixed hardware.
        Assert.Equal(0x0000_0565U, U32(fadt, 112));
        Assert.Equal([1, 8, 0, 1, 0x0C, 0x06, 0, 0, 0, 0, 0, 0, 1], fadt[116..129].ToArray());
        Assert.Equal((0x600UL, 0x604UL, 0x608UL), (U64(fadt, 152), U64(fadt, 176), U64(fadt, 212)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(255)]
    public void Madt_lists_each_processor_the_io_apic_two_overrides_and_the_nmi_pin(int processors)
    {
        ReadOnlySpan<byte> madt = Build(processors).Table("APIC");
        Assert.Equal((0xFEE0_0000U, 1U), (U32(madt, 36), U32(madt, 40)));
        int at = 44;
        for (int i = 0; i < processors; i++, at += 8)
        {
            Assert.Equal([0, 8, (byte)i, (byte)i, 1, 0, 0, 0], madt.Slice(at, 8).ToArray());
        }

        byte[] rest =
        [
            1, 12, 0, 0, 0x00, 0x00, 0xC0, 0xFE, 0, 0, 0, 0,
            2, 10, 0, 0, 2, 0, 0, 0, 0, 0,
            2, 10, 0, 9, 9, 0, 0, 0, 0x0D, 0,
            4, 6, 0xFF, 0, 0, 1,
        ];
        Assert.Equal(rest, madt[at..].ToArray());
    }

    [Fact]
    public void Hpet_table_agrees_with_the_device()
    {
        ReadOnlySpan<byte> table = Build(1).Table("HPET");
        Assert.Equal(56, table.Length);
        Assert.Equal((uint)new TestChipset().ReadMemory(0xFED0_0000, 4), U32(table, 36));
        Assert.Equal((0, 64, 0xFED0_0000UL), (table[40], table[41], U64(table, 44)));
    }

    [Fact]
    public void Erst_table_passes_the_checks_of_linux()
    {
        // drivers/acpi/apei/erst.c, erst_check_table(), and apei-base.c, apei_check_gar().
        ReadOnlySpan<byte> table = Build(1).Table("ERST");
        Assert.Equal(48U, U32(table, 36));
        Assert.Equal((uint)(table.Length - 48) / 32, U32(table, 44));
        var actions = new SortedSet<int>();
        for (int at = 48; at < table.Length; at += 32)
        {
            actions.Add(table[at]);
            Assert.InRange(table[at + 1], 0, 3);
            Assert.Equal(table[at + 5], 8 << (table[at + 7] - 1));
        }

        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xA, 0xB, 0xD, 0xE, 0xF, 0x10], actions);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(256)]
    public void Processors_it_cannot_tell_are_refused(int processors) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => Build(processors));

    [Fact]
    public void The_tables_of_the_most_processors_fit_below_one_megabyte() =>
        Assert.InRange(Build(255).Bytes.Length, 1, 0x20000);

    [Theory]
    [InlineData("DSDT", "Name (_S5, Package (0x04)")]
    [InlineData("DSDT", "Name (_HID, EisaId (\"PNP0A03\")")]
    [InlineData("DSDT", "Name (_HID, EisaId (\"PNP0501\")")]
    [InlineData("DSDT", "Name (_HID, \"QEMU0001\")")]
    [InlineData("DSDT", "0xFEBFFFFF,")]
    [InlineData("FACP", "Reset Register Supported (V2) : 1")]
    [InlineData("APIC", "[I/O APIC]")]
    [InlineData("HPET", "High Precision Event Timer")]
    [InlineData("ERST", "[Get Record Identifier]")]
    [InlineData("XSDT", "ACPI Table Address   3")]
    [InlineData("RSDT", "ACPI Table Address   3")]
    public void Iasl_reads_each_table(string signature, string expected)
    {
        string text = Disassemble(signature, Build(2).Table(signature));
        Assert.Contains(expected, text, StringComparison.Ordinal);
        Assert.DoesNotContain("Invalid", text, StringComparison.Ordinal);
        Assert.DoesNotContain("Unknown", text, StringComparison.Ordinal);
        Assert.DoesNotContain("ERROR", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Iasl_compiles_the_dsdt_it_disassembled_to_the_same_code()
    {
        byte[] dsdt = Build(1).Table("DSDT").ToArray();
        string source = Disassemble("DSDT", dsdt);
        string directory = Directory.CreateTempSubdirectory("dsdt").FullName;
        try
        {
            File.WriteAllText(Path.Combine(directory, "again.dsl"), source);
            (int exit, string output) = Iasl(directory, "-p", "again", "again.dsl");
            Assert.True(exit == 0, output);
            Assert.Contains(" 0 Errors, 0 Warnings", output, StringComparison.Ordinal);

            // All but the checksum and the compiler's name and version in the header.
            byte[] again = File.ReadAllBytes(Path.Combine(directory, "again.aml"));
            Assert.Equal(dsdt[36..], again[36..]);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static AcpiImage Build(int processors) => AcpiTables.Build(new AcpiOptions { ProcessorCount = processors });

    private static string Disassemble(string signature, ReadOnlySpan<byte> table)
    {
        string directory = Directory.CreateTempSubdirectory("acpi").FullName;
        try
        {
            File.WriteAllBytes(Path.Combine(directory, signature + ".aml"), table.ToArray());
            (int exit, string output) = Iasl(directory, "-d", signature + ".aml");
            Assert.True(exit == 0, output);
            Assert.DoesNotContain("Error", output, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("Warning", output, StringComparison.OrdinalIgnoreCase);
            return File.ReadAllText(Path.Combine(directory, signature + ".dsl"));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static (int Exit, string Output) Iasl(string directory, params string[] arguments)
    {
        var start = new ProcessStartInfo("iasl", arguments)
        {
            WorkingDirectory = directory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd() + errors.GetAwaiter().GetResult();
            process.WaitForExit();
            return (process.ExitCode, output);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("iasl is missing (Debian: apt install acpica-tools)");
            throw;
        }
    }

    private static ReadOnlySpan<byte> At(AcpiImage image, ulong address)
    {
        ReadOnlySpan<byte> table = image.Bytes.AsSpan((int)(address - image.Address));
        return table[..(int)U32(table, 4)];
    }

    private static int Sum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (byte value in bytes)
        {
            sum += value;
        }

        return sum;
    }

    private static ushort U16(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);

    private static uint U32(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);

    private static ulong U64(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]);
}
