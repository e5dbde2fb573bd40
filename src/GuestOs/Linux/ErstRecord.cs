using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.IO.Compression;

namespace GuestOs.Linux;

/// <summary>What a record in the error store holds.</summary>
public enum ErstContent
{
    /// <summary>Something Linux's pstore did not write.</summary>
    Other,

    /// <summary>A stretch of the kernel log (<c>CPER_SECTION_TYPE_DMESG</c>, plain or compressed).</summary>
    KernelLog,

    /// <summary>A machine check record.</summary>
    MachineCheck,
}

/// <summary>Why the kernel dumped its log (include/linux/kmsg_dump.h, <c>enum kmsg_dump_reason</c>).</summary>
public enum KernelDumpReason
{
    /// <summary>Not said, or a word we do not know.</summary>
    Unknown,

    /// <summary>panic().</summary>
    Panic,

    /// <summary>An oops the kernel may well have survived.</summary>
    Oops,

    /// <summary>emergency_restart(): sysrq-b among others.</summary>
    Emergency,

    /// <summary>An orderly restart, halt or power-off (only with printk.always_kmsg_dump).</summary>
    Shutdown,
}

/// <summary>
/// One record of the ACPI error record store: a CPER record (UEFI specification, appendix N.2) as Linux's pstore writes
/// them (drivers/acpi/apei/erst.c, fs/pstore/platform.c). The bytes come from the guest.
/// </summary>
public sealed record ErstRecord
{
    /// <summary>No store of ours hands out longer records; longer ones are refused unread.</summary>
    public const int MaxRecordBytes = 1 << 20;

    /// <summary>Section descriptors looked at; pstore writes one.</summary>
    public const int MaxSections = 32;

    /// <summary>Decompression stops here. The kernel compresses at most two or three times the exchange buffer's 64 KiB.</summary>
    public const int MaxTextBytes = 1 << 18;

    private const int HeaderSize = 128;
    private const int SectionDescriptorSize = 72;
    private const uint TimestampValid = 2;

    private static readonly Guid PstoreCreator = new(0x75a574e3, 0x5052, 0x4b29, 0x8a, 0x8e, 0xbe, 0x2c, 0x64, 0x90, 0xb8, 0x9d);
    private static readonly Guid PlainLog = new(0xc197e04e, 0xd545, 0x4a70, 0x9c, 0x17, 0xa5, 0x54, 0x94, 0x19, 0xeb, 0x12);
    private static readonly Guid CompressedLog = new(0x4f118707, 0x04dd, 0x4055, 0xb5, 0xdd, 0x95, 0x6d, 0x34, 0xdd, 0xfa, 0xc6);
    private static readonly Guid MachineCheck = new(0xfe08ffbe, 0x95e4, 0x4be7, 0xbc, 0x73, 0x40, 0x96, 0x04, 0x4a, 0x38, 0xfc);

    /// <summary>The record's id, by which the guest reads and clears it.</summary>
    public required ulong Id { get; init; }

    /// <summary>Guest wall-clock time in seconds since 1970, when the record says so.</summary>
    public ulong? UnixSeconds { get; init; }

    /// <summary>What it holds.</summary>
    public required ErstContent Content { get; init; }

    /// <summary>With a kernel log: why it was dumped.</summary>
    public KernelDumpReason Reason { get; init; }

    /// <summary>With a kernel log: the number of the dump since that kernel booted; all parts of one dump share it. 0 when not said.</summary>
    public int Count { get; init; }

    /// <summary>With a kernel log: 1 is the newest stretch of the log, written first; 0 when not said.</summary>
    public int Part { get; init; }

    /// <summary>With a kernel log: its lines as the kernel wrote them, each <c>&lt;N&gt;[seconds] text</c>, without the header line.</summary>
    public string Text { get; init; } = "";

    /// <summary>The text could not be read to its end: a compression we do not know, a torn record, or longer than <see cref="MaxTextBytes"/>.</summary>
    public bool Incomplete { get; init; }

    /// <summary>Parses one record; false, with the reason, when it is not a CPER record.</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out ErstRecord? record, [NotNullWhen(false)] out string? error)
    {
        record = null;
        if (bytes.Length < HeaderSize)
        {
            error = $"{bytes.Length} bytes are less than a CPER header's {HeaderSize}";
            return false;
        }

        if (!bytes.StartsWith("CPER"u8) || BinaryPrimitives.ReadUInt32LittleEndian(bytes[6..]) != uint.MaxValue)
        {
            error = "the CPER signature is missing";
            return false;
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(bytes[20..]);
        if (length is < HeaderSize or > MaxRecordBytes)
        {
            error = $"record length {length} is outside {HeaderSize}..{MaxRecordBytes}";
            return false;
        }

        bool torn = length > (uint)bytes.Length;
        ReadOnlySpan<byte> whole = bytes[..(int)Math.Min(length, (uint)bytes.Length)];
        uint valid = BinaryPrimitives.ReadUInt32LittleEndian(whole[16..]);
        bool fromPstore = new Guid(whole.Slice(64, 16)) == PstoreCreator;
        record = new ErstRecord
        {
            Id = BinaryPrimitives.ReadUInt64LittleEndian(whole[96..]),
            // The specification's timestamp is packed decimal; pstore writes seconds instead.
            UnixSeconds = fromPstore && (valid & TimestampValid) != 0 ? BinaryPrimitives.ReadUInt64LittleEndian(whole[24..]) : null,
            Content = ErstContent.Other,
            Incomplete = torn,
        };
        error = null;
        if (fromPstore)
        {
            record = ReadSections(whole, record);
        }

        return true;
    }

    private static ErstRecord ReadSections(ReadOnlySpan<byte> whole, ErstRecord record)
    {
        int count = Math.Min((int)BinaryPrimitives.ReadUInt16LittleEndian(whole[10..]), MaxSections);
        for (int i = 0; i < count; i++)
        {
            int at = HeaderSize + (i * SectionDescriptorSize);
            if (at + SectionDescriptorSize > whole.Length)
            {
                return record with { Incomplete = true };
            }

            ReadOnlySpan<byte> descriptor = whole.Slice(at, SectionDescriptorSize);
            var type = new Guid(descriptor.Slice(16, 16));
            if (type == MachineCheck)
            {
                return record with { Content = ErstContent.MachineCheck };
            }

            if (type == PlainLog || type == CompressedLog)
            {
                uint offset = BinaryPrimitives.ReadUInt32LittleEndian(descriptor);
                uint length = BinaryPrimitives.ReadUInt32LittleEndian(descriptor[4..]);
                bool cut = offset > (uint)whole.Length || length > (uint)whole.Length - offset;
                ReadOnlySpan<byte> data = offset > (uint)whole.Length ? default : whole[(int)offset..];
                data = data[..(int)Math.Min(length, (uint)data.Length)];
                return ReadLog(data, type == CompressedLog, record with { Content = ErstContent.KernelLog, Incomplete = record.Incomplete || cut });
            }
        }

        return record;
    }

    private static ErstRecord ReadLog(ReadOnlySpan<byte> data, bool compressed, ErstRecord record)
    {
        if (!compressed)
        {
            return WithHeaderLine(data, record);
        }

        // Raw deflate is what the kernel's "deflate" algorithm makes; kernels before 4.19 wrapped it as zlib does.
        if (LooksLikeZlib(data))
        {
            ErstRecord unwrapped = Inflate(data, true, record);
            if (HasHeaderLine(unwrapped))
            {
                return unwrapped;
            }
        }

        return Inflate(data, false, record);
    }

    private static bool LooksLikeZlib(ReadOnlySpan<byte> data) =>
        data.Length > 2 && (data[0] & 0x0F) == 8 && BinaryPrimitives.ReadUInt16BigEndian(data) % 31 == 0;

    private static ErstRecord Inflate(ReadOnlySpan<byte> data, bool zlib, ErstRecord record)
    {
        var plain = new byte[Math.Min(MaxTextBytes, 8 * (data.Length + 512))];
        int filled = 0;
        bool incomplete = record.Incomplete;
        using var source = new MemoryStream(data.ToArray(), false);
        using Stream inflater = zlib ? new ZLibStream(source, CompressionMode.Decompress) : new DeflateStream(source, CompressionMode.Decompress);
        try
        {
            while (true)
            {
                if (filled == plain.Length)
                {
                    if (filled == MaxTextBytes)
                    {
                        incomplete = true;
                        break;
                    }

                    Array.Resize(ref plain, Math.Min(MaxTextBytes, plain.Length * 2));
                }

                int read = inflater.Read(plain, filled, plain.Length - filled);
                if (read == 0)
                {
                    break;
                }

                filled += read;
            }
        }
        catch (InvalidDataException)
        {
            // The stream's only way to say that the guest's bytes are not deflate; what came before still counts.
            incomplete = true;
        }

        record = WithHeaderLine(plain.AsSpan(0, filled), record with { Incomplete = incomplete });

        // Other compressors (lzo, lz4, zstd) can decode to a few bytes of rubbish before they fail.
        return HasHeaderLine(record) ? record : record with { Text = "", Incomplete = true };
    }

    private static bool HasHeaderLine(ErstRecord record) => record.Reason != KernelDumpReason.Unknown || record.Count != 0;

    private static ErstRecord WithHeaderLine(ReadOnlySpan<byte> log, ErstRecord record)
    {
        // "Panic#2 Part1\n": fs/pstore/platform.c, pstore_dump().
        int end = log[..Math.Min(log.Length, 64)].IndexOf((byte)'\n');
        ReadOnlySpan<byte> line = end < 0 ? default : log[..end];
        int hash = line.IndexOf((byte)'#');
        int part = line.IndexOf(" Part"u8);
        if (hash <= 0 || part <= hash || !TryNumber(line[(hash + 1)..part], out int count) || !TryNumber(line[(part + 5)..], out int number))
        {
            return record with { Text = GuestText.Decode(log) };
        }

        ReadOnlySpan<byte> word = line[..hash];
        KernelDumpReason reason =
            word.SequenceEqual("Panic"u8) ? KernelDumpReason.Panic :
            word.SequenceEqual("Oops"u8) ? KernelDumpReason.Oops :
            word.SequenceEqual("Emergency"u8) ? KernelDumpReason.Emergency :
            word.SequenceEqual("Shutdown"u8) || word.SequenceEqual("Restart"u8) || word.SequenceEqual("Halt"u8) || word.SequenceEqual("Poweroff"u8)
                ? KernelDumpReason.Shutdown : KernelDumpReason.Unknown;
        return record with { Reason = reason, Count = count, Part = number, Text = GuestText.Decode(log[(end + 1)..]) };
    }

    private static bool TryNumber(ReadOnlySpan<byte> digits, out int value)
    {
        value = 0;
        if (digits.IsEmpty || digits.Length > 9)
        {
            return false;
        }

        foreach (byte digit in digits)
        {
            if (digit is < (byte)'0' or > (byte)'9')
            {
                return false;
            }

            value = (value * 10) + digit - '0';
        }

        return true;
    }
}
