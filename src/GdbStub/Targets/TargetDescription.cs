using GdbStub.Agents;

namespace GdbStub.Targets;

/// <summary>A register as a debugger sees it.</summary>
/// <param name="Name">Its name, unique in the description.</param>
/// <param name="BitSize">Bits, a multiple of 8, at most 4096.</param>
/// <param name="Type">A type gdb predefines (int, int64, data_ptr, i387_ext …) or the id of a <see cref="RegisterType"/> of the same feature.</param>
/// <param name="Group">general, float, vector, system or a name of the target's own; null leaves it to the debugger.</param>
/// <param name="AlternateName">A second name lldb knows it by.</param>
/// <param name="Generic">The role lldb should use it in: pc, sp, fp, flags, arg1 … .</param>
public sealed record RegisterInfo(
    string Name, int BitSize, string Type, string? Group = null, string? AlternateName = null, string? Generic = null)
{
    /// <summary>Its number in DWARF debug information, for lldb.</summary>
    public int? DwarfNumber { get; init; }

    /// <summary>Its number in .eh_frame, for lldb.</summary>
    public int? EhFrameNumber { get; init; }

    /// <summary>What the bits mean to lldb: uint, sint, ieee754 or vector; null derives it from the type.</summary>
    public string? Encoding { get; init; }

    /// <summary>How lldb prints it: hex, float, vector-uint8 …; null derives it from the type.</summary>
    public string? Format { get; init; }

    /// <summary>Bytes.</summary>
    public int Size => BitSize / 8;

    /// <summary>The number packets use; given by the <see cref="TargetDescription"/>.</summary>
    public int Number { get; internal set; }

    /// <summary>First byte in the <c>g</c> packet; given by the <see cref="TargetDescription"/>.</summary>
    public int Offset { get; internal set; }
}

/// <summary>A register type a feature defines.</summary>
/// <param name="Id">Its name.</param>
public abstract record RegisterType(string Id);

/// <summary><paramref name="Count"/> elements of <paramref name="Element"/>.</summary>
public sealed record VectorType(string Id, string Element, int Count) : RegisterType(Id);

/// <summary>The same bits read as any of the types in <paramref name="Fields"/> (name, type).</summary>
public sealed record UnionType(string Id, IReadOnlyList<(string Name, string Type)> Fields) : RegisterType(Id);

/// <summary>Named bits, so that a debugger prints words: (name, first bit, last bit).</summary>
public sealed record FlagsType(string Id, int Size, IReadOnlyList<(string Name, int Start, int End)> Fields) : RegisterType(Id);

/// <summary>A named group of registers; gdb knows some names and demands certain registers of them.</summary>
public sealed record RegisterFeature(string Name, IReadOnlyList<RegisterType> Types, IReadOnlyList<RegisterInfo> Registers);

/// <summary>
/// What a debugger must know of an architecture. Registers are numbered and laid out in the <c>g</c> packet in the order
/// they are listed. Source: "Target Descriptions" in gdb's manual.
/// </summary>
public sealed class TargetDescription
{
    /// <summary>Numbers the registers.</summary>
    /// <param name="architecture">gdb's name of the architecture.</param>
    /// <param name="triple">The target triple lldb is told.</param>
    /// <param name="pointerSize">Bytes of an address.</param>
    /// <param name="bigEndian">Byte order.</param>
    /// <param name="features">The registers.</param>
    /// <param name="programCounter">Name of the register that a resume address goes to.</param>
    /// <param name="expedited">Names of the registers every stop reply carries.</param>
    public TargetDescription(
        string architecture, string triple, int pointerSize, bool bigEndian, IReadOnlyList<RegisterFeature> features,
        string programCounter, IReadOnlyList<string> expedited)
    {
        Architecture = architecture;
        Triple = triple;
        PointerSize = pointerSize;
        BigEndian = bigEndian;
        Features = features;
        var registers = new List<RegisterInfo>();
        int offset = 0;
        foreach (RegisterFeature feature in features)
        {
            foreach (RegisterInfo register in feature.Registers)
            {
                ArgumentOutOfRangeException.ThrowIfNotEqual(register.BitSize % 8, 0, register.Name);
                ArgumentOutOfRangeException.ThrowIfGreaterThan(register.BitSize, MaxRegisterBits, register.Name);
                register.Number = registers.Count;
                register.Offset = offset;
                offset += register.Size;
                registers.Add(register);
            }
        }

        Registers = registers;
        RegisterBytes = offset;
        ProgramCounter = Find(programCounter);
        Expedited = [.. expedited.Select(Find)];
    }

    /// <summary>How a long double lies in memory.</summary>
    public LongDoubleFormat LongDouble { get; init; }

    /// <summary>gdb's name of the operating system's conventions (osabi), null for none.</summary>
    public string? OsAbi { get; init; }

    /// <summary>The widest register a packet may carry.</summary>
    public const int MaxRegisterBits = 4096;

    /// <summary>gdb's name of the architecture.</summary>
    public string Architecture { get; }

    /// <summary>The target triple.</summary>
    public string Triple { get; }

    /// <summary>Bytes of an address.</summary>
    public int PointerSize { get; }

    /// <summary>Byte order.</summary>
    public bool BigEndian { get; }

    /// <summary>The registers by feature.</summary>
    public IReadOnlyList<RegisterFeature> Features { get; }

    /// <summary>The registers by number.</summary>
    public IReadOnlyList<RegisterInfo> Registers { get; }

    /// <summary>Bytes of all registers together.</summary>
    public int RegisterBytes { get; }

    /// <summary>The program counter.</summary>
    public RegisterInfo ProgramCounter { get; }

    /// <summary>What every stop reply carries.</summary>
    public IReadOnlyList<RegisterInfo> Expedited { get; }

    private RegisterInfo Find(string name) =>
        Registers.FirstOrDefault(register => register.Name == name)
        ?? throw new ArgumentException($"no register is named {name}", nameof(name));
}
