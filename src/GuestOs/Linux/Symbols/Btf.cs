using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Text;

namespace GuestOs.Linux.Symbols;

/// <summary>
/// A kernel's or a module's types in BTF (Documentation/bpf/btf.rst), checked as they are parsed: every id and every place
/// this hands out lies inside. A module's types continue the kernel's numbering and strings ("split BTF").
/// </summary>
public sealed class Btf
{
    /// <summary>Bytes of one BTF. Debian's kernel has 4 MiB.</summary>
    public const int MaxBytes = 1 << 26;

    /// <summary>Types in all.</summary>
    public const int MaxTypes = 1 << 21;

    /// <summary>Bytes of a name; longer ones, and ones that are not printable ASCII, read as empty.</summary>
    public const int MaxNameBytes = 512;

    /// <summary>Types one may be made of, each inside the other, before they count as endless.</summary>
    public const int MaxDepth = 64;

    private const ushort Magic = 0xEB9F;
    private const int HeaderBytes = 24;

    private readonly byte[] data;
    private readonly int[] places;
    private readonly int firstId;
    private readonly int firstString;
    private readonly int stringsAt;
    private readonly int stringsLength;
    private readonly Btf? below;
    private readonly Dictionary<(string Name, BtfKind Kind), int> found = [];
    private Dictionary<int, long>? sizes;

    private Btf(byte[] data, int[] places, int stringsAt, int stringsLength, Btf? below)
    {
        this.data = data;
        this.places = places;
        this.stringsAt = stringsAt;
        this.stringsLength = stringsLength;
        this.below = below;
        firstId = below?.Count ?? 1;
        firstString = below is null ? 0 : below.firstString + below.stringsLength;
    }

    /// <summary>One more than the greatest id.</summary>
    public int Count => firstId + places.Length;

    /// <summary>The least id that is defined here and not in the kernel's BTF.</summary>
    internal int FirstId => firstId;

    /// <summary>Where the strings of this one begin in the numbering of all.</summary>
    internal int FirstString => firstString;

    /// <summary>The strings of this one.</summary>
    internal ReadOnlyMemory<byte> Strings => data.AsMemory(stringsAt, stringsLength);

    /// <summary>The kernel's, if this is a module's.</summary>
    internal Btf? Below => below;

    /// <summary>
    /// Parses; null, with the reason, when it is not BTF. One that ends in something unknown is taken up to there, and
    /// <paramref name="problem"/> says so.
    /// </summary>
    public static Btf? Parse(byte[] data, Btf? below, out string? problem)
    {
        ArgumentNullException.ThrowIfNull(data);
        problem = null;
        if (data.Length < HeaderBytes || data.Length > MaxBytes || BinaryPrimitives.ReadUInt16LittleEndian(data) != Magic)
        {
            problem = "not BTF";
            return null;
        }

        uint header = Word(data, 4), typesOffset = Word(data, 8), typesLength = Word(data, 12), stringsOffset = Word(data, 16), stringsLength = Word(data, 20);
        ulong typesAt = (ulong)header + typesOffset, stringsAt = (ulong)header + stringsOffset;
        if (typesAt + typesLength > (ulong)data.Length || stringsAt + stringsLength > (ulong)data.Length)
        {
            problem = "its parts lie outside of it";
            return null;
        }

        var places = new List<int>((int)typesLength / 32);
        problem = FindTypes(data, (int)typesAt, (int)(typesAt + typesLength), below?.Count ?? 1, places);
        return new Btf(data, [.. places], (int)stringsAt, (int)stringsLength, below);
    }

    /// <summary>The first type of this name and kind; 0 when there is none.</summary>
    public int Find(string name, BtfKind kind)
    {
        if (below?.Find(name, kind) is > 0 and int known)
        {
            return known;
        }

        // The same few are asked for again and again.
        if (!found.TryGetValue((name, kind), out int id))
        {
            found[(name, kind)] = id = FindHere(Encoding.ASCII.GetBytes(name), kind);
        }

        return id;
    }

    /// <summary>
    /// A member by its path, as "thread.sp": through unnamed structures and unions by itself. False when there is no such member.
    /// </summary>
    /// <param name="type">A structure or union, or another name for one.</param>
    /// <param name="path">Names with points between them.</param>
    /// <param name="bytes">Where it begins.</param>
    public bool TryGetOffset(int type, string path, out int bytes) => TryGetMember(type, path, out bytes, out _);

    /// <summary>Bytes of a type; 0 when it has no size or is endless.</summary>
    public long SizeOf(int type) => SizeOf(type, 0);

    internal BtfType this[int id]
    {
        get
        {
            if (id < firstId)
            {
                return id > 0 && below is not null ? below[id] : default;
            }

            if (id - firstId >= places.Length)
            {
                return default;
            }

            int at = places[id - firstId];
            uint info = Word(data, at + 4);
            return new BtfType(id, (BtfKind)((info >> 24) & 0x1F), info >> 31 != 0, (int)(info & 0xFFFF), (int)(Word(data, at) & int.MaxValue), Word(data, at + 8), at + 12);
        }
    }

    internal bool TryGetMember(int type, string path, out int bytes, out int memberType)
    {
        bytes = 0;
        memberType = type;
        foreach (string name in path.Split('.'))
        {
            int budget = 1 << 12;
            if (!TryFindMember(memberType, Encoding.ASCII.GetBytes(name), 0, ref budget, out BtfMember member) || member.BitOffset % 8 != 0)
            {
                return false;
            }

            bytes += member.Offset;
            memberType = member.Type;
        }

        return true;
    }

    /// <summary>A member that is a bit-field: its place in bits.</summary>
    internal bool TryGetBits(int type, string name, out int bit, out int bits)
    {
        int budget = 1 << 12;
        bool found = TryFindMember(type, Encoding.ASCII.GetBytes(name), 0, ref budget, out BtfMember member);
        bit = (int)member.BitOffset;
        bits = member.BitSize != 0 ? member.BitSize : (int)Math.Min(8 * SizeOf(member.Type), 64);
        return found;
    }

    internal int Resolve(int id)
    {
        for (int depth = 0; depth < MaxDepth; depth++)
        {
            BtfType type = this[id];
            if (!type.IsTransparent)
            {
                return id;
            }

            id = Id(type.SizeOrType);
        }

        return 0;
    }

    /// <summary>A member; <paramref name="index"/> is below the type's count.</summary>
    internal BtfMember Member(in BtfType type, int index)
    {
        Btf home = Home(type.Id);
        int at = type.Data + (index * 12);
        uint offset = Word(home.data, at + 8);
        int id = Id(Word(home.data, at + 4));
        long bit = type.Flag ? offset & 0xFF_FFFF : offset;
        int bits = type.Flag ? (int)(offset >> 24) : 0;

        // Old compilers' way: the integer itself is narrower than its bytes.
        if (!type.Flag && this[Resolve(id)] is { Kind: BtfKind.Int } integer && IntData(integer) is var word && (word & 0xFF) is var width && width != 8 * integer.SizeOrType)
        {
            bit += (word >> 16) & 0xFF;
            bits = (int)width;
        }

        return new BtfMember(Text(home.data, at), id, bit, bits);
    }

    /// <summary>What follows an integer: encoding in bits 24 to 27, offset in 16 to 23, bits in 0 to 7.</summary>
    internal uint IntData(in BtfType type) => Word(Home(type.Id).data, type.Data);

    /// <summary>An array's element type and length.</summary>
    internal (int Type, uint Length) ArrayData(in BtfType type) => (Id(Word(Home(type.Id).data, type.Data)), Word(Home(type.Id).data, type.Data + 8));

    /// <summary>An enumerator's name and value.</summary>
    internal (int Name, long Value) Enumerator(in BtfType type, int index)
    {
        byte[] home = Home(type.Id).data;
        if (type.Kind == BtfKind.Enum64)
        {
            int wide = type.Data + (index * 12);
            return (Text(home, wide), (long)(Word(home, wide + 4) | ((ulong)Word(home, wide + 8) << 32)));
        }

        int at = type.Data + (index * 8);
        uint value = Word(home, at + 4);
        return (Text(home, at), type.Flag ? (int)value : SignedUnlessFlagged(type, value));
    }

    /// <summary>A parameter's name and type; both 0 stand for "...".</summary>
    internal (int Name, int Type) Parameter(in BtfType type, int index)
    {
        byte[] home = Home(type.Id).data;
        int at = type.Data + (index * 8);
        return (Text(home, at), Id(Word(home, at + 4)));
    }

    /// <summary>A section's variable.</summary>
    internal int SectionVariable(in BtfType type, int index) => Id(Word(Home(type.Id).data, type.Data + (index * 12)));

    /// <summary>A type id that exists; 0, void, for any other.</summary>
    internal int Id(uint id) => id < (uint)Count ? (int)id : 0;

    internal ReadOnlySpan<byte> Name(int place)
    {
        if (place < firstString)
        {
            return below is null ? default : below.Name(place);
        }

        int at = place - firstString;
        if (at >= stringsLength)
        {
            return default;
        }

        ReadOnlySpan<byte> from = data.AsSpan(stringsAt + at, Math.Min(MaxNameBytes + 1, stringsLength - at));
        int length = from.IndexOf((byte)0);
        ReadOnlySpan<byte> name = length < 0 ? default : from[..length];
        return name.ContainsAnyExceptInRange((byte)0x20, (byte)0x7E) ? default : name;
    }

    internal string NameOf(int type) => Encoding.ASCII.GetString(Name(this[type].Name));

    private static string? FindTypes(byte[] data, int at, int end, int firstId, List<int> places)
    {
        while (at < end)
        {
            if (end - at < 12)
            {
                return "types end within one";
            }

            uint info = Word(data, at + 4);
            var kind = (BtfKind)((info >> 24) & 0x1F);
            int count = (int)(info & 0xFFFF);
            int more = kind switch
            {
                BtfKind.Int or BtfKind.Variable or BtfKind.DeclarationTag => 4,
                BtfKind.Array => 12,
                BtfKind.Struct or BtfKind.Union or BtfKind.DataSection or BtfKind.Enum64 => 12 * count,
                BtfKind.Enum or BtfKind.Prototype => 8 * count,
                BtfKind.Void or > BtfKind.Enum64 => -1,
                _ => 0,
            };
            if (more < 0)
            {
                return $"type {firstId + places.Count} is of the unknown kind {(int)kind}";
            }

            if (more > end - at - 12)
            {
                return $"type {firstId + places.Count} lies beyond the end";
            }

            if (firstId + places.Count >= MaxTypes)
            {
                return $"more than {MaxTypes} types";
            }

            places.Add(at);
            at += 12 + more;
        }

        return null;
    }

    // Enumerations without a negative value have no flag in old BTF either way: what fits both reads the same.
    private static long SignedUnlessFlagged(in BtfType type, uint value) => type.SizeOrType < 4 ? value : (int)value;

    private static uint Word(byte[] data, int at) => BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan(at));

    private static int Text(byte[] data, int at) => (int)(Word(data, at) & int.MaxValue);

    private Btf Home(int id) => id < firstId && below is not null ? below.Home(id) : this;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int FindHere(ReadOnlySpan<byte> wanted, BtfKind kind)
    {
        for (int i = 0; i < places.Length; i++)
        {
            int at = places[i];
            if ((BtfKind)((Word(data, at + 4) >> 24) & 0x1F) == kind && Name(Text(data, at)).SequenceEqual(wanted))
            {
                return firstId + i;
            }
        }

        return 0;
    }

    private bool TryFindMember(int id, ReadOnlySpan<byte> name, int depth, ref int budget, out BtfMember found)
    {
        found = default;
        BtfType type = this[Resolve(id)];
        if (depth > MaxDepth || type.Kind is not (BtfKind.Struct or BtfKind.Union))
        {
            return false;
        }

        for (int i = 0; i < type.Count && --budget > 0; i++)
        {
            BtfMember member = Member(type, i);
            if (Name(member.Name).SequenceEqual(name))
            {
                found = member;
                return true;
            }

            if (member.Name == 0 && TryFindMember(member.Type, name, depth + 1, ref budget, out BtfMember inner))
            {
                found = inner with { BitOffset = inner.BitOffset + member.BitOffset };
                return true;
            }
        }

        return false;
    }

    private long SizeOf(int id, int depth)
    {
        id = Resolve(id);
        if (id < firstId && below is not null)
        {
            return below.SizeOf(id, depth);
        }

        BtfType type = this[id];
        switch (type.Kind)
        {
            case BtfKind.Pointer:
                return 8;
            case BtfKind.Int or BtfKind.Float or BtfKind.Enum or BtfKind.Enum64 or BtfKind.Struct or BtfKind.Union:
                return type.SizeOrType;
            case BtfKind.Array when depth < MaxDepth:
                // Each array once: arrays of arrays of arrays may be asked for as often as there are members.
                sizes ??= [];
                if (!sizes.TryGetValue(id, out long known))
                {
                    (int element, uint length) = ArrayData(type);
                    long size = SizeOf(element, depth + 1);
                    known = size is <= 0 or > int.MaxValue ? 0 : size * length;
                    sizes[id] = known;
                }

                return known;
            default:
                return 0;
        }
    }
}
