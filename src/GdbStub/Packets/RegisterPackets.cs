using GdbStub.Sessions;
using GdbStub.Targets;
using GdbStub.Wire;

namespace GdbStub.Packets;

/// <summary>g G p P. A value the target does not know is spelled in x's; lldb's thread suffix is taken where it was agreed on.</summary>
internal static class RegisterPackets
{
    public static void ReadAll(GdbSession session, PacketArguments arguments)
    {
        if (!session.TryTakeThreadSuffix(ref arguments, out int thread) || !arguments.AtEnd)
        {
            session.ReplyMalformed("g");
            return;
        }

        PacketWriter reply = session.Begin();
        foreach (RegisterInfo register in session.Target.Description.Registers)
        {
            WriteValue(session.Target, reply, thread, register);
        }
    }

    public static void Read(GdbSession session, PacketArguments arguments)
    {
        if (!TryRegister(session, ref arguments, out RegisterInfo? register)
            || !session.TryTakeThreadSuffix(ref arguments, out int thread) || !arguments.AtEnd)
        {
            session.ReplyMalformed("p REGISTER, with a register of target.xml");
            return;
        }

        Span<byte> value = stackalloc byte[register.Size];
        bool isProbe = !session.LldbReadsRegisters;
        session.LldbReadsRegisters = true;
        if (session.Lldb && !isProbe && !session.Target.TryReadRegister(thread, register.Number, value))
        {
            // lldb takes x's for a value; an error to its first question, though, for a stub that does not know the packet.
            session.ReplyError(new TargetError(TargetError.Failed, $"{register.Name} is not known"));
            return;
        }

        WriteValue(session.Target, session.Begin(), thread, register);
    }

    public static void Write(GdbSession session, PacketArguments arguments)
    {
        if (!TryRegister(session, ref arguments, out RegisterInfo? register) || !arguments.TryTake('='))
        {
            session.ReplyMalformed("P REGISTER=VALUE, with a register of target.xml");
            return;
        }

        byte[] value = new byte[register.Size];
        ReadOnlySpan<byte> digits = arguments.TakeUntil(';');
        var suffix = new PacketArguments(arguments.Rest);
        if (!Hex.TryDecode(digits, value) || !session.TryTakeThread(ref suffix, out int thread))
        {
            session.ReplyMalformed($"P REGISTER=VALUE, where {register.Name} has {register.Size} bytes");
            return;
        }

        Store(session, thread, [new RegisterValue(register.Number, value)]);
    }

    public static void WriteAll(GdbSession session, PacketArguments arguments)
    {
        ReadOnlySpan<byte> digits = arguments.TakeUntil(';');
        var suffix = new PacketArguments(arguments.Rest);
        if (!session.TryTakeThread(ref suffix, out int thread))
        {
            session.ReplyMalformed("G VALUES");
            return;
        }

        var values = new List<RegisterValue>();
        foreach (RegisterInfo register in session.Target.Description.Registers)
        {
            if (digits.IsEmpty)
            {
                break;
            }

            int length = register.Size * 2;
            byte[] value = new byte[register.Size];
            bool unknown = digits.Length >= length && digits[..length].IndexOfAnyExcept((byte)'x') < 0;
            if (!unknown && (digits.Length < length || !Hex.TryDecode(digits[..length], value)))
            {
                session.ReplyMalformed($"G VALUES: {register.Name} is cut or not hexadecimal");
                return;
            }

            digits = digits[length..];
            if (!unknown)
            {
                values.Add(new RegisterValue(register.Number, value));
            }
        }

        if (!digits.IsEmpty || values.Count == 0)
        {
            session.ReplyMalformed($"G VALUES of {session.Target.Description.RegisterBytes} bytes or fewer");
            return;
        }

        Store(session, thread, values);
    }

    /// <summary>Writes a register's value as the protocol spells it.</summary>
    public static void WriteValue(IDebugTarget target, PacketWriter reply, int thread, RegisterInfo register)
    {
        Span<byte> value = stackalloc byte[TargetDescription.MaxRegisterBits / 8];
        value = value[..register.Size];
        if (target.TryReadRegister(thread, register.Number, value))
        {
            reply.HexBytes(value);
            return;
        }

        for (int i = 0; i < register.Size; i++)
        {
            reply.Text("xx"u8);
        }
    }

    private static bool TryRegister(GdbSession session, ref PacketArguments arguments, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out RegisterInfo? register)
    {
        IReadOnlyList<RegisterInfo> registers = session.Target.Description.Registers;
        register = arguments.TryHex(out ulong number) && number < (ulong)registers.Count ? registers[(int)number] : null;
        return register is not null;
    }

    /// <summary>Writes registers and answers.</summary>
    public static void Store(GdbSession session, int thread, IReadOnlyList<RegisterValue> values)
    {
        if (session.Target.Writer is not { } writer)
        {
            session.ReplyError(session.Target.Unsupported(TargetAbility.Write));
        }
        else if (writer.WriteRegisters(thread, values) is { } error)
        {
            session.ReplyError(error);
        }
        else
        {
            session.ReplyOk();
        }
    }
}
