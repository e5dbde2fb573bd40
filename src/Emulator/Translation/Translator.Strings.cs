using System.Numerics;
using Emulator.Cpu;

namespace Emulator.Translation;

// Repeated string instructions that do all they have to in one turn: forward, inside one page each.
internal sealed unsafe partial class Translator
{
    private const int Bytes = Trampolines.Temporary, HostDestination = Bytes + 8, GuestDestination = Bytes + 16, GuestSource = Bytes + 24;
    private const int CompareImmediate = 7;

    private void EmitRepeat(Form form, Op* op, int index)
    {
        bool moves = form == Form.RepeatMove;
        int size = ElementSize(op), shift = BitOperations.Log2((uint)size);
        BeforeClobber(index);
        byte* slow = cold.At;
        EmitOperationCold(index);

        // test dword [rflags], DF
        hot.Bytes([0xF7, 0x04, 0x25]);
        hot.Int32((int)state + Trampolines.RflagsOffset);
        hot.Int32((int)Cpu.Flags.Df);
        hot.JumpIf(5, slow);

        // cmp rcx, elements of a page
        hot.Bytes([0x48, 0x81, 0xF9]);
        hot.Int32(4096 >> shift);
        hot.JumpIf(7, slow);
        hot.Lea(Host.R10, -1, Host.Rcx, shift, 0);
        EmitInPage(Host.Rdi, slow);
        if (moves)
        {
            EmitInPage(Host.Rsi, slow);
        }

        hot.RegFrame(StoreMove, Host.R10, Bytes);
        hot.Move(Host.R10, Host.Rdi);
        EmitRunLookup(index, write: true);
        hot.RegFrame(StoreMove, Host.R11, HostDestination);
        if (moves)
        {
            hot.Move(Host.R10, Host.Rsi);
            EmitRunLookup(index, write: false);
            hot.RegFrame(StoreMove, Host.Rsi, GuestSource);
            hot.Move(Host.Rsi, Host.R11);
        }

        hot.RegFrame(StoreMove, Host.Rdi, GuestDestination);
        hot.RegFrame(LoadMove, Host.Rdi, HostDestination);
        hot.Byte(0xF3);
        if (size == 2)
        {
            hot.Byte(0x66);
        }

        hot.Rex(size == 8, 0, 0, 0);
        hot.Byte((moves ? 0xA4 : 0xAA) | (size == 1 ? 0 : 1));
        hot.RegFrame(LoadMove, Host.R10, Bytes);
        hot.RegFrame(LoadMove, Host.Rdi, GuestDestination);
        hot.Lea(Host.Rdi, Host.Rdi, Host.R10, 0, 0);
        if (moves)
        {
            hot.RegFrame(LoadMove, Host.Rsi, GuestSource);
            hot.Lea(Host.Rsi, Host.Rsi, Host.R10, 0, 0);
        }
    }

    // R10 bytes from the register's address on stay inside its page, or C# does it.
    private void EmitInPage(int register, byte* slow)
    {
        hot.RegReg(LoadMove, Host.R11, register, wide: false);
        hot.Immediate(And, Host.R11, 0xFFF);
        hot.RegReg(Add, Host.R11, Host.R10, wide: false);
        hot.Immediate(CompareImmediate, Host.R11, 4096);
        hot.JumpIf(7, slow);
    }

    private static int ElementSize(Op* op) => (Iced.Intel.Code)op->Code switch
    {
        Iced.Intel.Code.Stosb_m8_AL or Iced.Intel.Code.Movsb_m8_m8 => 1,
        Iced.Intel.Code.Stosw_m16_AX or Iced.Intel.Code.Movsw_m16_m16 => 2,
        Iced.Intel.Code.Stosd_m32_EAX or Iced.Intel.Code.Movsd_m32_m32 => 4,
        _ => 8,
    };
}
