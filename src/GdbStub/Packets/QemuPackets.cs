using GdbStub.Sessions;
using GdbStub.Targets;

namespace GdbStub.Packets;

/// <summary>Packets that QEMU's stub introduced and tools use. Source: QEMU's documentation, "GDB usage", "Advanced debugging options".</summary>
internal static class QemuPackets
{
    public static void Supported(GdbSession session, PacketArguments arguments)
    {
        session.Begin();
        if (session.Target.Stepping is not null)
        {
            session.Reply.Text("sstepbits;sstep"u8);
        }

        if (session.Target.PhysicalMemory is not null)
        {
            session.Reply.Text(session.Target.Stepping is null ? "PhyMemMode"u8 : ";PhyMemMode"u8);
        }
    }

    public static void StepBits(GdbSession session, PacketArguments arguments)
    {
        if (session.Target.Stepping is not { } stepping)
        {
            session.ReplyEmpty();
            return;
        }

        session.Begin().Text("ENABLE=1"u8);
        if (stepping.Supported.HasFlag(StepMask.NoInterrupts))
        {
            session.Reply.Text(",NOIRQ=2"u8);
        }

        if (stepping.Supported.HasFlag(StepMask.NoTimers))
        {
            session.Reply.Text(",NOTIMER=4"u8);
        }
    }

    public static void Step(GdbSession session, PacketArguments arguments)
    {
        if (session.Target.Stepping is { } stepping)
        {
            session.Begin().Text("0x"u8).HexNumber((ulong)(stepping.Current | StepMask.Enable));
        }
        else
        {
            session.ReplyEmpty();
        }
    }

    public static void SetStep(GdbSession session, PacketArguments arguments)
    {
        if (session.Target.Stepping is not { } stepping)
        {
            session.ReplyEmpty();
        }
        else if (!arguments.TryTake('=') || !TryNumber(ref arguments, out ulong bits))
        {
            session.ReplyMalformed("Qqemu.sstep=BITS");
        }
        else if ((bits & ~(ulong)(stepping.Supported | StepMask.Enable)) != 0)
        {
            session.ReplyError(new TargetError(TargetError.Invalid, $"0x{bits:x} has bits that are not in 0x{(int)stepping.Supported:x}"));
        }
        else
        {
            stepping.Current = (StepMask)bits & stepping.Supported;
            session.ReplyOk();
        }
    }

    public static void PhysicalMode(GdbSession session, PacketArguments arguments)
    {
        if (session.Target.PhysicalMemory is null)
        {
            session.ReplyEmpty();
            return;
        }

        session.Begin().Text(session.Physical ? "1"u8 : "0"u8);
    }

    public static void SetPhysicalMode(GdbSession session, PacketArguments arguments)
    {
        if (session.Target.PhysicalMemory is null)
        {
            session.ReplyEmpty();
        }
        else if (!arguments.TryTake(':') || !arguments.TryHex(out ulong on) || on > 1 || !arguments.AtEnd)
        {
            session.ReplyMalformed("Qqemu.PhyMemMode:0 or Qqemu.PhyMemMode:1");
        }
        else
        {
            session.Physical = on == 1;
            session.ReplyOk();
        }
    }

    private static bool TryNumber(ref PacketArguments arguments, out ulong value)
    {
        arguments.TryTake("0x"u8);
        return arguments.TryHex(out value) && arguments.AtEnd;
    }
}
