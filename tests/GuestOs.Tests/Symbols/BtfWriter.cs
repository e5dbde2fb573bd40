using System.Buffers.Binary;
using System.Text;
using GuestOs.Linux.Symbols;

namespace GuestOs.Tests.Symbols;

/// <summary>Writes BTF by Documentation/bpf/btf.rst. Each method returns the type's id.</summary>
internal sealed class BtfWriter(int firstId = 1, int firstString = 0)
{
    private readonly MemoryStream types = new();
    private readonly List<byte> text = [.. firstString == 0 ? new byte[] { 0 } : []];
    private int next = firstId;

    public int Int(string name, int size, int encoding = 0, int bits = 0) => Type(BtfKind.Int, name, (uint)size, false, 0, (uint)((encoding << 24) | (bits == 0 ? size * 8 : bits)));

    public int Pointer(int to) => Type(BtfKind.Pointer, "", (uint)to);

    public int Array(int of, int length) => Type(BtfKind.Array, "", 0, false, 0, (uint)of, 0, (uint)length);

    public int Typedef(string name, int of) => Type(BtfKind.Typedef, name, (uint)of);

    public int Modifier(BtfKind kind, int of) => Type(kind, "", (uint)of);

    public int Function(string name, int prototype) => Type(BtfKind.Function, name, (uint)prototype);

    public int Variable(string name, int type) => Type(BtfKind.Variable, name, (uint)type, false, 0, 1);

    public int Section(string name, params int[] variables) =>
        Type(BtfKind.DataSection, name, 0, false, variables.Length, [.. variables.SelectMany(variable => new[] { (uint)variable, 0u, 8u })]);

    public int Struct(string name, int size, params (string Name, int Type, int Bit)[] members) => Struct(BtfKind.Struct, name, size, members);

    public int Union(string name, int size, params (string Name, int Type, int Bit)[] members) => Struct(BtfKind.Union, name, size, members);

    public int BitStruct(string name, int size, params (string Name, int Type, int Bit, int Bits)[] members) => Type(
        BtfKind.Struct, name, (uint)size, true, members.Length,
        [.. members.SelectMany(member => new[] { (uint)Text(member.Name), (uint)member.Type, (uint)((member.Bits << 24) | member.Bit) })]);

    public int Enum(string name, int size, params (string Name, int Value)[] values) =>
        Type(BtfKind.Enum, name, (uint)size, true, values.Length, [.. values.SelectMany(value => new[] { (uint)Text(value.Name), (uint)value.Value })]);

    public int Prototype(int result, params (string Name, int Type)[] parameters) =>
        Type(BtfKind.Prototype, "", (uint)result, false, parameters.Length, [.. parameters.SelectMany(one => new[] { (uint)Text(one.Name), (uint)one.Type })]);

    public int Type(BtfKind kind, string name, uint sizeOrType, bool flag = false, int count = 0, params uint[] more)
    {
        Put((uint)Text(name));
        Put(((uint)kind << 24) | (flag ? 1u << 31 : 0) | (uint)count);
        Put(sizeOrType);
        foreach (uint word in more)
        {
            Put(word);
        }

        return next++;
    }

    public byte[] Build()
    {
        var bytes = new List<byte>();
        foreach (uint word in (uint[])[0x0001_EB9F, 24, 0, (uint)types.Length, (uint)types.Length, (uint)text.Count])
        {
            bytes.AddRange(BitConverter.GetBytes(word));
        }

        bytes.AddRange(types.ToArray());
        bytes.AddRange(text);
        return [.. bytes];
    }

    public int NextId => next;

    public int StringsLength => text.Count;

    private int Struct(BtfKind kind, string name, int size, (string Name, int Type, int Bit)[] members) => Type(
        kind, name, (uint)size, false, members.Length,
        [.. members.SelectMany(member => new[] { (uint)Text(member.Name), (uint)member.Type, (uint)member.Bit })]);

    private int Text(string value)
    {
        if (value.Length == 0)
        {
            return 0;
        }

        int at = firstString + text.Count;
        text.AddRange(Encoding.ASCII.GetBytes(value + "\0"));
        return at;
    }

    private void Put(uint word)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, word);
        types.Write(bytes);
    }
}
