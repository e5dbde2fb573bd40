using System.Text;

namespace GuestOs.Linux.Symbols;

/// <summary>One symbol.</summary>
/// <param name="Address">Its run-time address; of a per-CPU variable the offset into a CPU's area.</param>
/// <param name="Type">nm's letter: t text, d data, b zeroed data, r read-only, w weak, a absolute; capital when global.</param>
/// <param name="Name">Its name, printable ASCII.</param>
public readonly record struct KernelSymbol(ulong Address, char Type, string Name);

/// <summary>The symbols of a kernel or of one module, by ascending address; names are found by hash.</summary>
public sealed class SymbolTable
{
    /// <summary>Longest name taken, as in the kernel (KSYM_NAME_LEN, 512 since 6.1).</summary>
    public const int MaxNameBytes = 512;

    // A guest that gives all symbols one hash must not make this quadratic; the first of a name is the one that is found.
    private const int LongestProbe = 64;

    private readonly ulong[] addresses;
    private readonly byte[] types;
    private readonly int[] nameStarts;
    private readonly byte[] names;
    private readonly int namesLength;
    private int[]? buckets;

    private SymbolTable(ulong[] addresses, byte[] types, int[] nameStarts, byte[] names, int namesLength)
    {
        this.addresses = addresses;
        this.types = types;
        this.nameStarts = nameStarts;
        this.names = names;
        this.namesLength = namesLength;
    }

    /// <summary>Number of symbols.</summary>
    public int Count => addresses.Length;

    /// <summary>A symbol, by place in the order of addresses.</summary>
    public KernelSymbol this[int index] => new(addresses[index], (char)types[index], NameOf(index));

    /// <summary>All names, each ended by a zero byte, after a first zero byte: an ELF string table.</summary>
    internal ReadOnlyMemory<byte> Names => names.AsMemory(0, namesLength);

    /// <summary>The address of the named symbol, the first if several have the name; false when there is none.</summary>
    public bool TryGetAddress(string name, out ulong address)
    {
        Span<byte> bytes = stackalloc byte[MaxNameBytes];
        int index = Encoding.ASCII.TryGetBytes(name, bytes, out int length) ? IndexOf(bytes[..length]) : -1;
        address = index < 0 ? 0 : addresses[index];
        return index >= 0;
    }

    /// <summary>The symbol that an address lies in: the last that does not begin after it; of several at one place the first.</summary>
    public bool TryFind(ulong address, out KernelSymbol symbol)
    {
        int index = IndexOf(address);
        symbol = index < 0 ? default : this[index];
        return index >= 0;
    }

    internal ulong AddressOf(int index) => addresses[index];

    internal byte TypeOf(int index) => types[index];

    internal bool IsText(int index) => (types[index] | 0x20) is (byte)'t' or (byte)'w';

    internal bool IsGlobal(int index) => (types[index] & 0x20) == 0;

    internal int NameStart(int index) => nameStarts[index];

    internal ReadOnlySpan<byte> NameBytes(int index)
    {
        ReadOnlySpan<byte> from = names.AsSpan(nameStarts[index]);
        return from[..from.IndexOf((byte)0)];
    }

    internal string NameOf(int index) => Encoding.ASCII.GetString(NameBytes(index));

    /// <summary>The place after the last symbol that begins at or before <paramref name="address"/>.</summary>
    internal int After(ulong address)
    {
        int low = 0, high = addresses.Length;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (addresses[middle] <= address)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    internal int IndexOf(ulong address)
    {
        int index = After(address) - 1;
        while (index > 0 && addresses[index - 1] == addresses[index])
        {
            index--;
        }

        return index;
    }

    /// <summary>The first place of a name; -1 when there is none.</summary>
    internal int IndexOf(ReadOnlySpan<byte> name)
    {
        int[] table = buckets ??= Index();
        if (table.Length == 0)
        {
            return -1;
        }

        int mask = table.Length - 1;
        int at = Hash(name) & mask;
        for (int probe = 0; probe < LongestProbe && table[at] != 0; probe++, at = (at + 1) & mask)
        {
            if (NameBytes(table[at] - 1).SequenceEqual(name))
            {
                return table[at] - 1;
            }
        }

        return -1;
    }

    internal static int Hash(ReadOnlySpan<byte> name)
    {
        uint hash = 2166136261;
        foreach (byte b in name)
        {
            hash = (hash ^ b) * 16777619;
        }

        return (int)(hash ^ (hash >> 15));
    }

    private int[] Index()
    {
        if (Count == 0)
        {
            return [];
        }

        var table = new int[System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Count * 2)];
        int mask = table.Length - 1;

        for (int i = 0; i < Count; i++)
        {
            int at = Hash(NameBytes(i)) & mask;
            for (int probe = 0; probe < LongestProbe; probe++, at = (at + 1) & mask)
            {
                if (table[at] == 0)
                {
                    table[at] = i + 1;
                    break;
                }
            }
        }

        return table;
    }

    /// <summary>Collects symbols in any order.</summary>
    internal sealed class Builder(int expected)
    {
        private ulong[] addresses = new ulong[expected];
        private byte[] types = new byte[expected];
        private int[] nameStarts = new int[expected];
        private byte[] names = new byte[(expected * 24) + MaxNameBytes + 2];
        private int count;
        private int used = 1;

        public int Count => count;

        /// <summary>Room for one name; <see cref="Add"/> takes it.</summary>
        public Span<byte> NextName()
        {
            if (names.Length - used < MaxNameBytes + 1)
            {
                Array.Resize(ref names, names.Length * 2);
            }

            return names.AsSpan(used, MaxNameBytes);
        }

        public void Add(ulong address, byte type, int nameLength)
        {
            if (count == addresses.Length)
            {
                int size = Math.Max(16, count * 2);
                Array.Resize(ref addresses, size);
                Array.Resize(ref types, size);
                Array.Resize(ref nameStarts, size);
            }

            addresses[count] = address;
            types[count] = type;
            nameStarts[count++] = used;
            used += nameLength;
            names[used++] = 0;
        }

        /// <summary>Where the names end now, to go back to with <see cref="GoBack"/>.</summary>
        public int NamesLength => used;

        /// <summary>Forgets the last symbols.</summary>
        public void GoBack(int toCount, int toNamesLength) => (count, used) = (toCount, toNamesLength);

        public int IndexOf(ReadOnlySpan<byte> name)
        {
            for (int i = 0; i < count; i++)
            {
                int end = (i + 1 < count ? nameStarts[i + 1] : used) - 1;
                if (names.AsSpan(nameStarts[i], end - nameStarts[i]).SequenceEqual(name))
                {
                    return i;
                }
            }

            return -1;
        }

        public ulong[] Addresses => addresses;

        public SymbolTable Build()
        {
            Array.Resize(ref addresses, count);
            Array.Resize(ref types, count);
            Array.Resize(ref nameStarts, count);
            for (int i = 1; i < count; i++)
            {
                if (addresses[i] < addresses[i - 1])
                {
                    Sort();
                    break;
                }
            }

            return new SymbolTable(addresses, types, nameStarts, names, used);
        }

        private void Sort()
        {
            var order = new int[count];
            for (int i = 0; i < count; i++)
            {
                order[i] = i;
            }

            // By place among equals: which of several names stands first is the kernel's choice.
            ulong[] keys = addresses;
            Array.Sort(order, (a, b) => keys[a] != keys[b] ? keys[a].CompareTo(keys[b]) : a.CompareTo(b));
            addresses = Array.ConvertAll(order, i => keys[i]);
            byte[] oldTypes = types;
            types = Array.ConvertAll(order, i => oldTypes[i]);
            int[] oldStarts = nameStarts;
            nameStarts = Array.ConvertAll(order, i => oldStarts[i]);
        }
    }
}
