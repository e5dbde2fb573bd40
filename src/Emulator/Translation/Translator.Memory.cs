using Emulator.Cpu;
using Emulator.Memory;

namespace Emulator.Translation;

// Effective addresses, and the way through the fast TLB tables to a host address.
internal sealed unsafe partial class Translator
{
    private const int Add = 0x03, LoadMove = 0x8B, StoreMove = 0x89, SignExtend = 0x63, Compare = 0x3B, ExclusiveOr = 0x33;

    /// <summary>The host register a guest register lives in, or -1 if it lives in the frame.</summary>
    private static int HostOf(int guest) => guest switch
    {
        Host.Rsp => Host.GuestRsp,
        9 or 10 or 11 => -1,
        _ => guest,
    };

    private static int SlotOf(int guest) => Trampolines.Spilled + ((guest - 9) * 8);

    // Where a guest register can be read: its own host register, or the scratch it is loaded into.
    private int Read(int guest, int scratch)
    {
        int host = HostOf(guest);
        if (host >= 0)
        {
            return host;
        }

        hot.RegFrame(LoadMove, scratch, SlotOf(guest));
        return scratch;
    }

    // What was computed in a scratch register goes home.
    private void Keep(int guest, int scratch)
    {
        if (HostOf(guest) < 0)
        {
            hot.RegFrame(StoreMove, scratch, SlotOf(guest));
        }
    }

    // The linear address of the memory operand in R10. Flags may go; whoever calls has them saved.
    private void EmitAddress(in Encoding e, Op* op)
    {
        EmitOffset(e, op, Host.R10, wide: op->AddressShift == 0);
        if (op->SegmentBase != Cpu.Decoder.SegmentBaseOf(SegmentIndex.Flat))
        {
            hot.RegAbsolute(Add, Host.R10, state + op->SegmentBase);
        }
    }

    // The offset of the memory operand in its segment; flags stay. R10 and R11 are used on the way.
    private void EmitOffset(in Encoding e, Op* op, int to, bool wide)
    {
        if (e.RipRelative || (e.Base < 0 && e.Index < 0))
        {
            hot.MoveConstant(to, wide ? (ulong)op->Disp : (uint)op->Disp);
            return;
        }

        int first = e.Base < 0 ? -1 : Read(e.Base, Host.R10);
        int second = e.Index < 0 ? -1 : Read(e.Index, Host.R11);
        hot.Lea(to, first, second, e.Scale, e.Displacement, wide);
    }

    // R10 is a linear address: leaves R11 + R10 as the host's. What misses goes through C#, or to the interpreter.
    private void EmitLookup(int index, int size, bool write)
    {
        uint table = EmitHit(size, write);
        Site* site = AddSite(SiteKind.Operation, index);
        site->Size = (byte)size;
        site->Writes = write ? (byte)1 : (byte)0;
        site->Resume = (uint)(nuint)hot.At;
        cold.RegMemory(ExclusiveOr, Host.R10, Host.R11, (int)table);
        SettleCold(index);
        EmitLeave(cold, site, trampolines.Miss);
    }

    // The same for a whole run of bytes that starts there: what misses is the interpreter's.
    private void EmitRunLookup(int index, bool write)
    {
        EmitHit(1, write);
        EmitOperationCold(index);
        EmitJoin();
    }

    // The way of a hit; a miss goes to the cold part.
    private uint EmitHit(int size, bool write)
    {
        uint table = write ? writeTable : readTable;
        hot.Rorx(Host.R11, Host.R10, 8, wide: false);
        // and r11d: the index times the size of an entry
        hot.Bytes([0x41, 0x81, 0xE3]);
        hot.Int32((SoftTlb.Entries - 1) * sizeof(TlbEntry));
        hot.RegMemory(ExclusiveOr, Host.R10, Host.R11, (int)table);
        // cmp r10, 4096 - size
        hot.Bytes([0x49, 0x81, 0xFA]);
        hot.Int32(4096 - size);
        hot.JumpIf(7, cold.At);
        hot.RegMemory(LoadMove, Host.R11, Host.R11, (int)table + 8);
        return table;
    }

    // R11 + R10 becomes R11 alone, and R10 is free.
    private void EmitJoin() => hot.Lea(Host.R11, Host.R11, Host.R10, 0, 0);

    // An opcode with a register and [r11+r10].
    private void EmitAccess(int opcode, int register, bool wide = true)
    {
        hot.Rex(wide, register, Host.R10, Host.R11);
        hot.Byte(opcode);
        EmitJoined(register);
    }

    // ModRM and SIB of [r11+r10].
    private void EmitJoined(int register)
    {
        hot.Byte(0x04 | ((register & 7) << 3));
        hot.Byte(((Host.R10 & 7) << 3) | (Host.R11 & 7));
    }
}
