using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Emulator;

namespace GuestOs.Linux;

/// <summary>
/// The text a Linux kernel keeps in its memory for crash tools: release, build id, where it was loaded, and the offsets
/// of the structures such tools read (Documentation/admin-guide/kdump/vmcoreinfo.rst). Found by its contents; the guest
/// needs no option and no driver. It exists from the kernel's subsys initcalls on.
/// </summary>
public sealed class VmCoreInfo
{
    /// <summary>The kernel gives the text one page; longer ones are cut.</summary>
    public const int MaxTextBytes = 4096;

    /// <summary>Shorter texts are not one: the smallest ones seen have over 1 KiB.</summary>
    public const int MinTextBytes = 500;

    /// <summary>Lines looked at. Kernels write about a hundred.</summary>
    public const int MaxLines = 1024;

    private const string FirstKey = "OSRELEASE=";
    private readonly Dictionary<string, string> values;

    private VmCoreInfo(Dictionary<string, string> values, byte[] text, ulong physicalAddress)
    {
        this.values = values;
        Text = text;
        PhysicalAddress = physicalAddress;
        Release = values["OSRELEASE"];
        BuildId = values.TryGetValue("BUILD-ID", out string? id) && IsHex(id) ? id : null;
        KernelOffset = TryParseHex(values.GetValueOrDefault("KERNELOFFSET"), out ulong offset) ? offset : null;
        PhysicalBase = TryGetNumber("phys_base", out long physical) ? physical : null;
    }

    /// <summary>How every copy of the text begins.</summary>
    public static ReadOnlySpan<byte> Signature => "OSRELEASE="u8;

    /// <summary>The text as the kernel wrote it, without the terminating zero: what a dump's VMCOREINFO note holds.</summary>
    public ReadOnlyMemory<byte> Text { get; }

    /// <summary>Not the kernel's own words: put together from what its memory shows before it has written any. <see cref="Text"/> is empty.</summary>
    public bool IsReconstructed { get; private init; }

    /// <summary>Where it stands in guest-physical memory; 0 when it came from elsewhere.</summary>
    public ulong PhysicalAddress { get; }

    /// <summary>What <c>uname -r</c> says.</summary>
    public string Release { get; }

    /// <summary>The kernel image's build id in lower-case hexadecimal digits; null before 5.10.</summary>
    public string? BuildId { get; }

    /// <summary>KASLR: what was added to every link-time address. Null when not said.</summary>
    public ulong? KernelOffset { get; }

    /// <summary>The kernel's phys_base: physical address of what is mapped at FFFFFFFF80000000h; may be negative.</summary>
    public long? PhysicalBase { get; }

    /// <summary>Parses a text that starts at the first byte of <paramref name="bytes"/> and ends at a zero byte or with them.</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, ulong physicalAddress, [NotNullWhen(true)] out VmCoreInfo? info)
    {
        info = null;
        bytes = bytes[..Math.Min(bytes.Length, MaxTextBytes)];
        int end = bytes.IndexOf((byte)0);
        ReadOnlySpan<byte> text = end < 0 ? bytes : bytes[..end];

        // The format string in the kernel's read-only data begins alike, and so may anything that quotes the text.
        if (text.Length < MinTextBytes || !text.StartsWith(Signature) || text.IndexOf("SYMBOL("u8) < 0 || text.IndexOf("PAGESIZE="u8) < 0
            || text.IndexOfAnyExceptInRange((byte)0x20, (byte)0x7E) is var first && first >= 0 && !OnlyTextAndNewlines(text))
        {
            return false;
        }

        if (!TrySplit(Encoding.ASCII.GetString(text), out Dictionary<string, string>? values))
        {
            return false;
        }

        info = new VmCoreInfo(values, text.ToArray(), physicalAddress);
        return true;
    }

    /// <summary>A description of our own making, in the kernel's form; null when it makes no sense.</summary>
    internal static VmCoreInfo? Reconstruct(string text) =>
        TrySplit(text, out Dictionary<string, string>? values) ? new VmCoreInfo(values, [], 0) { IsReconstructed = true } : null;

    /// <summary>
    /// Every text in RAM, those at the start of a page first: there the kernel keeps its own, and there it is found in a
    /// few milliseconds. Copies with equal contents appear once. There may be several: a warm reboot leaves the last
    /// kernel's behind, and a crash kernel has one of its own; <see cref="LinuxKernel.Find"/> says which one runs.
    /// </summary>
    public static IEnumerable<VmCoreInfo> FindAll(IMachineView view)
    {
        ArgumentNullException.ThrowIfNull(view);
        return VmCoreInfoScan.Find(view);
    }

    /// <summary>A line's value as text.</summary>
    public bool TryGetText(string key, [NotNullWhen(true)] out string? value) => values.TryGetValue(key, out value);

    /// <summary>The run-time address of a kernel variable: <c>SYMBOL(name)</c>.</summary>
    public bool TryGetSymbol(string name, out ulong address) => TryParseHex(values.GetValueOrDefault($"SYMBOL({name})"), out address);

    /// <summary>A structure member's offset in bytes: <c>OFFSET(structure.member)</c>.</summary>
    public bool TryGetOffset(string member, out int bytes) => TryGetSmall($"OFFSET({member})", out bytes);

    /// <summary>A structure's size in bytes: <c>SIZE(structure)</c>.</summary>
    public bool TryGetSize(string structure, out int bytes) => TryGetSmall($"SIZE({structure})", out bytes);

    /// <summary>An array's number of elements: <c>LENGTH(array)</c>.</summary>
    public bool TryGetLength(string array, out int elements) => TryGetSmall($"LENGTH({array})", out elements);

    /// <summary>A value: <c>NUMBER(name)</c>, decimal with a sign or hexadecimal with 0x.</summary>
    public bool TryGetNumber(string name, out long value)
    {
        string? text = values.GetValueOrDefault($"NUMBER({name})");
        if (text is not null && text.StartsWith("0x", StringComparison.Ordinal) && TryParseHex(text[2..], out ulong hex))
        {
            value = (long)hex;
            return true;
        }

        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{FirstKey}{Release}";

    private static bool TrySplit(string text, [NotNullWhen(true)] out Dictionary<string, string>? values)
    {
        values = new Dictionary<string, string>(StringComparer.Ordinal);
        int lines = 0;
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            int equals = line.IndexOf('=');
            if (++lines > MaxLines || (equals <= 0 && !line.IsEmpty))
            {
                return false;
            }

            if (equals > 0)
            {
                values.TryAdd(line[..equals].ToString(), line[(equals + 1)..].ToString());
            }
        }

        return values.TryGetValue("OSRELEASE", out string? release) && release.Length is > 0 and <= 64;
    }

    private static bool OnlyTextAndNewlines(ReadOnlySpan<byte> text)
    {
        foreach (byte b in text)
        {
            if (b is not (byte)'\n' and (< 0x20 or > 0x7E))
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsHex(string text) => text.Length is > 0 and <= 64 && !text.AsSpan().ContainsAnyExcept("0123456789abcdef");

    private static bool TryParseHex(string? text, out ulong value) =>
        ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);

    // Offsets of members of anonymous structures aside, none of these is near a mebibyte; a guest that says so is lying.
    private bool TryGetSmall(string key, out int value) =>
        int.TryParse(values.GetValueOrDefault(key), NumberStyles.None, CultureInfo.InvariantCulture, out value) && value <= 1 << 24;
}
