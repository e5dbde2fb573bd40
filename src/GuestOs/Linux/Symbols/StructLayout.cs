namespace GuestOs.Linux.Symbols;

/// <summary>A structure of the kernel's whose members are read by name.</summary>
internal sealed class StructLayout
{
    /// <summary>Greatest offset believed; task_struct, the largest read here, has 10 KiB.</summary>
    public const int MaxBytes = 1 << 20;

    private readonly KernelMemory memory;
    private readonly Btf types;
    private readonly int type;
    private readonly Dictionary<string, int> offsets = [];

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
    public int Offset(string path)
    {
        if (!offsets.TryGetValue(path, out int offset))
        {
            offset = types.TryGetOffset(type, path, out int bytes) && bytes is >= 0 and < MaxBytes ? bytes : -1;
            offsets.Add(path, offset);
        }

        return offset;
    }

    /// <summary>Reads a member of eight bytes.</summary>
    public bool TryRead(ulong at, string path, out ulong value)
    {
        value = 0;
        return Offset(path) is var offset and >= 0 && memory.TryRead(at + (ulong)offset, out value);
    }

    /// <summary>Reads a member of four bytes.</summary>
    public bool TryRead(ulong at, string path, out uint value)
    {
        value = 0;
        return Offset(path) is var offset and >= 0 && memory.TryRead(at + (ulong)offset, out value);
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
}
