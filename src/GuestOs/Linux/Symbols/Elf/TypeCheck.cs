namespace GuestOs.Linux.Symbols.Elf;

/// <summary>
/// Looks for types that are made of themselves. A structure may hold a pointer to its own kind, but not its own kind; and
/// a pointer, a function or a name for a type may not come back to itself without a structure in between: debuggers
/// follow such things to the end of their stack. The references that close a circle, or lie too deep, are to be cut.
/// </summary>
internal sealed class TypeCheck
{
    /// <summary>Types inside one another by value, or pointers and functions in a row.</summary>
    public const int MaxDepth = 128;

    private const byte Open = 1, Done = 2;

    private readonly Btf types;
    private readonly HashSet<(int Type, int Edge)> cuts = [];
    private readonly byte[] color;
    private readonly byte[] depth;

    public TypeCheck(Btf types)
    {
        this.types = types;
        color = new byte[types.Count];
        depth = new byte[types.Count];
        Walk(byValue: true);
        Array.Clear(color);
        Array.Clear(depth);
        Walk(byValue: false);
    }

    /// <summary>References to be cut.</summary>
    public int Cuts => cuts.Count;

    /// <summary>The <paramref name="edge"/>th reference of a type must not be followed.</summary>
    public bool IsCut(int type, int edge) => cuts.Count != 0 && cuts.Contains((type, edge));

    private void Walk(bool byValue)
    {
        var stack = new Stack<(int Type, int Edge)>();
        for (int first = types.FirstId; first < types.Count; first++)
        {
            if (color[first] != 0)
            {
                continue;
            }

            color[first] = Open;
            stack.Push((first, 0));
            while (stack.TryPop(out (int Type, int Edge) step))
            {
                BtfType type = types[step.Type];
                int edges = Edges(type, byValue);
                int edge = step.Edge;
                bool descended = false;
                for (; edge < edges; edge++)
                {
                    int target = Target(type, edge);

                    // What lies in the kernel's own BTF was looked at when that was written, and cannot lead back here.
                    if (target < types.FirstId)
                    {
                        continue;
                    }

                    if (color[target] == 0)
                    {
                        stack.Push((step.Type, edge));
                        stack.Push((target, 0));
                        color[target] = Open;
                        descended = true;
                        break;
                    }

                    if (color[target] == Open || depth[target] >= MaxDepth)
                    {
                        cuts.Add((step.Type, edge));
                    }
                    else
                    {
                        depth[step.Type] = Math.Max(depth[step.Type], (byte)(depth[target] + 1));
                    }
                }

                if (!descended)
                {
                    color[step.Type] = Done;
                }
            }
        }
    }

    private static int Edges(in BtfType type, bool byValue) => type.Kind switch
    {
        BtfKind.Struct or BtfKind.Union => byValue ? type.Count : 0,
        BtfKind.Pointer => byValue ? 0 : 1,
        BtfKind.Prototype => byValue ? 0 : type.Count + 1,
        BtfKind.Array => 1,
        _ => type.IsTransparent ? 1 : 0,
    };

    private int Target(in BtfType type, int edge) => type.Kind switch
    {
        BtfKind.Struct or BtfKind.Union => types.Member(type, edge).Type,
        BtfKind.Array => types.ArrayData(type).Type,
        BtfKind.Prototype when edge > 0 => types.Parameter(type, edge - 1).Type,
        _ => types.Id(type.SizeOrType),
    };
}
