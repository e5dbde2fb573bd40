using System.Numerics;

namespace GuestOs.Linux.Symbols.Elf;

/// <summary>The functions of one BTF by name.</summary>
internal sealed class FunctionIndex
{
    // All names with one hash would make this quadratic: what is not found soon is not found.
    private const int LongestProbe = 64;

    private readonly Btf types;
    private readonly int[] table;

    public FunctionIndex(Btf types)
    {
        this.types = types;
        int count = 0;
        for (int id = types.FirstId; id < types.Count; id++)
        {
            count += types[id].Kind == BtfKind.Function ? 1 : 0;
        }

        table = new int[BitOperations.RoundUpToPowerOf2((uint)(count * 2) | 1)];
        for (int id = types.FirstId; id < types.Count; id++)
        {
            BtfType type = types[id];
            if (type.Kind == BtfKind.Function)
            {
                Add(id, types.Name(type.Name));
            }
        }
    }

    /// <summary>A function's type id; 0 when BTF does not know it.</summary>
    public int Find(ReadOnlySpan<byte> name)
    {
        int at = SymbolTable.Hash(name) & (table.Length - 1);
        for (int probe = 0; probe < LongestProbe && table[at] != 0; probe++, at = (at + 1) & (table.Length - 1))
        {
            if (types.Name(types[table[at]].Name).SequenceEqual(name))
            {
                return table[at];
            }
        }

        return 0;
    }

    private void Add(int id, ReadOnlySpan<byte> name)
    {
        int at = SymbolTable.Hash(name) & (table.Length - 1);
        for (int probe = 0; probe < LongestProbe && !name.IsEmpty; probe++, at = (at + 1) & (table.Length - 1))
        {
            if (table[at] == 0)
            {
                table[at] = id;
                break;
            }
        }
    }
}
