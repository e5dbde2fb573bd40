namespace Emulator.Translation;

/// <summary>The fields of one instruction of 64-bit code as its bytes have them (SDM vol. 2A chapter 2).</summary>
internal unsafe ref struct Encoding
{
    internal bool OperandSizePrefix, AddressSizePrefix, HasRex, Wide, Locked;
    internal int Mandatory, Map, Opcode, Mod, Reg, Rm, Base, Index, Scale, Displacement, SegmentPrefix;
    internal bool RipRelative;
    internal ReadOnlySpan<byte> Immediate;

    /// <summary>Whether the memory form is meant.</summary>
    internal readonly bool IsMemory => Mod != 3;

    /// <summary>Takes the bytes of a whole, valid instruction apart; what follows ModRM is the immediate.</summary>
    internal static Encoding Parse(ReadOnlySpan<byte> bytes, bool hasModRm)
    {
        Encoding e = default;
        e.Base = e.Index = -1;
        e.Mod = 3;
        int at = 0, rex = 0;
        for (; ; at++)
        {
            byte b = bytes[at];
            if ((b & 0xF0) == 0x40)
            {
                rex = b;
                continue;
            }

            // REX counts only right before the opcode.
            int before = rex;
            rex = 0;
            if (b == 0x66)
            {
                e.OperandSizePrefix = true;
            }
            else if (b == 0x67)
            {
                e.AddressSizePrefix = true;
            }
            else if (b == 0xF0)
            {
                e.Locked = true;
            }
            else if (b is 0xF2 or 0xF3)
            {
                e.Mandatory = b;
            }
            else if (b is 0x64 or 0x65)
            {
                e.SegmentPrefix = b;
            }
            else if (b is not (0x2E or 0x36 or 0x3E or 0x26))
            {
                rex = before;
                break;
            }
        }

        e.HasRex = rex != 0;
        e.Wide = (rex & 8) != 0;

        if (bytes[at] == 0x0F)
        {
            at++;
            e.Map = bytes[at] == 0x38 ? 2 : bytes[at] == 0x3A ? 3 : 1;
            at += e.Map > 1 ? 1 : 0;
        }

        e.Opcode = bytes[at++];
        if (hasModRm)
        {
            int modrm = bytes[at++];
            e.Mod = modrm >> 6;
            e.Reg = ((modrm >> 3) & 7) | ((rex & 4) << 1);
            e.Rm = (modrm & 7) | ((rex & 1) << 3);
            if (e.Mod != 3)
            {
                e.Base = e.Rm;
                if ((modrm & 7) == 4)
                {
                    int sib = bytes[at++];
                    e.Scale = sib >> 6;
                    e.Index = ((sib >> 3) & 7) | ((rex & 2) << 2);
                    e.Index = e.Index == 4 ? -1 : e.Index;
                    e.Base = (sib & 7) | ((rex & 1) << 3);
                    if ((sib & 7) == 5 && e.Mod == 0)
                    {
                        e.Base = -1;
                        e.Displacement = BitConverter.ToInt32(bytes[at..]);
                        at += 4;
                    }
                }
                else if ((modrm & 7) == 5 && e.Mod == 0)
                {
                    e.RipRelative = true;
                    e.Base = -1;
                    e.Displacement = BitConverter.ToInt32(bytes[at..]);
                    at += 4;
                }

                if (e.Mod == 1)
                {
                    e.Displacement = (sbyte)bytes[at++];
                }
                else if (e.Mod == 2)
                {
                    e.Displacement = BitConverter.ToInt32(bytes[at..]);
                    at += 4;
                }
            }
        }
        else
        {
            e.Rm = (e.Opcode & 7) | ((rex & 1) << 3);
        }

        e.Immediate = bytes[at..];
        return e;
    }
}
