namespace GuestOs.Linux.Symbols;

/// <summary>
/// Where an ORC entry keeps what, and what its numbers mean. The kernel has changed both: types in 6.4 (and in others'
/// backports), registers in 7.1. The bits are read from BTF where it is there; the registers' numbering is told by the
/// one that most rows count from, which is RSP in any kernel.
/// </summary>
internal sealed class OrcLayout
{
    /// <summary>Bytes of an entry, in every version.</summary>
    public const int EntryBytes = 6;

    private static readonly OrcBase[] OldRegisters =
    [
        OrcBase.Undefined, OrcBase.PreviousSp, OrcBase.Dx, OrcBase.Di, OrcBase.Bp, OrcBase.Sp, OrcBase.R10, OrcBase.R13, OrcBase.BpIndirect, OrcBase.SpIndirect,
    ];

    private static readonly OrcBase[] NewRegisters =
    [
        OrcBase.Undefined, OrcBase.Ax, OrcBase.Dx, OrcBase.Sp, OrcBase.Bp, OrcBase.Di, OrcBase.R10, OrcBase.R13, OrcBase.PreviousSp, OrcBase.SpIndirect, OrcBase.BpIndirect,
    ];

    private static readonly OrcKind[] OldKinds = [OrcKind.Call, OrcKind.Registers, OrcKind.InterruptFrame];
    private static readonly OrcKind[] NewKinds = [OrcKind.Undefined, OrcKind.EndOfStack, OrcKind.Call, OrcKind.Registers, OrcKind.InterruptFrame];

    private readonly Field spRegister, bpRegister, type, signal, end;
    private readonly OrcBase[] registers;

    private OrcLayout(Field spRegister, Field bpRegister, Field type, Field signal, Field end, OrcBase[] registers)
    {
        this.spRegister = spRegister;
        this.bpRegister = bpRegister;
        this.type = type;
        this.signal = signal;
        this.end = end;
        this.registers = registers;
    }

    private bool IsOld => end.Bits != 0;

    /// <summary>The layout of this kernel's entries.</summary>
    public static OrcLayout Of(Btf? types, string release, ReadOnlySpan<byte> entries)
    {
        OrcLayout layout = FromTypes(types) ?? FromRelease(release);
        return new OrcLayout(layout.spRegister, layout.bpRegister, layout.type, layout.signal, layout.end, layout.Numbering(entries));
    }

    /// <summary>Reads an entry of six bytes.</summary>
    public OrcRow Read(ReadOnlySpan<byte> entry)
    {
        ulong word = Word(entry);
        OrcBase sp = Register(spRegister.Of(word));
        int number = (int)type.Of(word);
        OrcKind[] kinds = IsOld ? OldKinds : NewKinds;
        OrcKind kind = number < kinds.Length ? kinds[number] : OrcKind.Undefined;
        if (IsOld && sp == OrcBase.Undefined)
        {
            kind = end.Of(word) != 0 ? OrcKind.EndOfStack : OrcKind.Undefined;
        }

        bool interrupted = signal.Bits != 0 ? signal.Of(word) != 0 : kind is OrcKind.Registers or OrcKind.InterruptFrame;
        return new OrcRow(sp, (short)word, Register(bpRegister.Of(word)), (short)(word >> 16), kind, interrupted);
    }

    private static ulong Word(ReadOnlySpan<byte> entry) =>
        entry[0] | ((ulong)entry[1] << 8) | ((ulong)entry[2] << 16) | ((ulong)entry[3] << 24) | ((ulong)entry[4] << 32) | ((ulong)entry[5] << 40);

    private static OrcLayout? FromTypes(Btf? types)
    {
        int entry = types?.Find("orc_entry", BtfKind.Struct) ?? 0;
        if (types is null || entry == 0 || types.SizeOf(entry) != EntryBytes
            || !Field.TryFind(types, entry, "sp_reg", out Field sp) || !Field.TryFind(types, entry, "bp_reg", out Field bp)
            || !Field.TryFind(types, entry, "type", out Field type))
        {
            return null;
        }

        Field.TryFind(types, entry, "signal", out Field signal);
        Field.TryFind(types, entry, "end", out Field end);
        return new OrcLayout(sp, bp, type, signal, end, OldRegisters);
    }

    private static OrcLayout FromRelease(string release)
    {
        (int major, int minor) = Version(release);
        int version = (major * 1000) + minor;
        return version >= 6004 ? new(new(32, 4), new(36, 4), new(40, 3), new(43, 1), default, OldRegisters)
            : version >= 6003 ? new(new(32, 4), new(36, 4), new(40, 2), new(42, 1), new(43, 1), OldRegisters)
            : new(new(32, 4), new(36, 4), new(40, 2), default, new(42, 1), OldRegisters);
    }

    private static (int Major, int Minor) Version(string release)
    {
        string[] parts = release.Split('.', '-');
        return (parts.Length > 0 && int.TryParse(parts[0], out int major) ? major : 0, parts.Length > 1 && int.TryParse(parts[1], out int minor) ? minor : 0);
    }

    private OrcBase Register(ulong number) => number < (ulong)registers.Length ? registers[number] : OrcBase.Undefined;

    private OrcBase[] Numbering(ReadOnlySpan<byte> entries)
    {
        const int Looked = 4096;
        int old = 0, young = 0;
        int step = Math.Max(1, entries.Length / EntryBytes / Looked);
        for (int at = 0; at + EntryBytes <= entries.Length; at += step * EntryBytes)
        {
            ulong register = spRegister.Of(Word(entries[at..]));
            old += register == 5 ? 1 : 0;
            young += register == 3 ? 1 : 0;
        }

        return young > old ? NewRegisters : OldRegisters;
    }

    private readonly record struct Field(int Bit, int Bits)
    {
        public static bool TryFind(Btf types, int structure, string name, out Field field)
        {
            bool found = types.TryGetBits(structure, name, out int bit, out int bits) && bit >= 0 && bits is > 0 and <= 16 && bit + bits <= 8 * EntryBytes;
            field = found ? new Field(bit, bits) : default;
            return found;
        }

        public ulong Of(ulong word) => (word >> Bit) & ((1UL << Bits) - 1);
    }
}
