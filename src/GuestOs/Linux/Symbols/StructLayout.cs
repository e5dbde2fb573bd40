using System.Buffers.Binary;

namespace GuestOs.Linux.Symbols;

/// <summary>A structure of the kernel's whose members are read by name.</summary>
internal sealed class StructLayout
{
    /// <summary>Greatest offset believed; task_struct, the largest read here, has 10 KiB.</summary>
    public const int MaxBytes = 1 << 20;

    private readonly KernelMemory memory;
    private readonly Btf types;
    private readonly int type;
    private readonly Dictionary<string, (int Offset, long Size)> members = [];

    private StructLayout(KernelMemory memory, Btf types, int type)
    {
        this.memory = memory;
        this.types = types;
        this.type = type;
    }

    /// <summary>Its bytes.</summary>
    public long Size => types.SizeOf(type);

    /// <summary>The named structure; null when the kernel has none.</summary>
    public static StructLayout? Find(KernelMemory memory, Btf? types, string name)
    {
        int type = types?.Find(name, BtfKind.Struct) ?? 0;
        return type == 0 ? null : new StructLayout(memory, types!, type);
    }

    /// <summary>The kernel's structure has these members.</summary>
    public bool Has(params ReadOnlySpan<string> paths)
    {
        foreach (string path in paths)
        {
            if (Offset(path) < 0)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Where a member begins; −1 when there is none.</summary>
    public int Offset(string path) => Member(path).Offset;

    /// <summary>Reads a number or an address: of its own size, which differs from kernel to kernel, and at most eight bytes.</summary>
    public bool TryRead(ulong at, string path, out ulong value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        bool read = TryRead(at, path, bytes);
        value = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        return read;
    }

    /// <summary>The same of at most four bytes: of longer ones the low half.</summary>
    public bool TryRead(ulong at, string path, out uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        bool read = TryRead(at, path, bytes);
        value = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        return read;
    }

    /// <summary>Reads a text of at most <paramref name="length"/> bytes that a zero byte ends.</summary>
    public string ReadText(ulong at, string path, int length)
    {
        Span<byte> bytes = stackalloc byte[length];
        int offset = Offset(path);
        bytes = offset < 0 ? [] : bytes[..memory.Read(at + (ulong)offset, bytes)];
        int end = bytes.IndexOf((byte)0);
        return GuestText.Decode(end < 0 ? bytes : bytes[..end]);
    }

    private bool TryRead(ulong at, string path, Span<byte> value)
    {
        value.Clear();
        (int offset, long size) = Member(path);
        if (offset < 0)
        {
            return false;
        }

        Span<byte> bytes = size > 0 && size < value.Length ? value[..(int)size] : value;
        bool read = memory.Read(at + (ulong)offset, bytes) == bytes.Length;
        if (!read)
        {
            value.Clear();
        }

        return read;
    }

    private (int Offset, long Size) Member(string path)
    {
        if (!members.TryGetValue(path, out (int Offset, long Size) member))
        {
            member = types.TryGetMember(type, path, out int bytes, out int memberType) && bytes is >= 0 and < MaxBytes ? (bytes, types.SizeOf(memberType)) : (-1, 0);
            members.Add(path, member);
        }

        return member;
    }
}
