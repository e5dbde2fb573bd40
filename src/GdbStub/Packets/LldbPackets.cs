using System.Globalization;
using System.Text;
using System.Text.Json;
using GdbStub.Sessions;
using GdbStub.Targets;
using GdbStub.Wire;

namespace GdbStub.Packets;

/// <summary>
/// What lldb asks before it does anything, answered so that it neither guesses nor searches. Source: "GDB Remote
/// Protocol Extensions" in lldb's documentation.
/// </summary>
internal static class LldbPackets
{
    public static void HostInfo(GdbSession session, PacketArguments arguments) => Triple(session);

    public static void ProcessInfo(GdbSession session, PacketArguments arguments)
    {
        session.Begin().Text("pid:"u8).HexNumber((ulong)session.General.Process).Text(";"u8);
        WriteTriple(session);
    }

    public static void ThreadSuffix(GdbSession session, PacketArguments arguments)
    {
        session.Lldb = true;
        session.ReplyOk();
    }

    public static void ListThreadsInStop(GdbSession session, PacketArguments arguments)
    {
        session.ListThreadsInStop = true;
        session.ReplyOk();
    }

    public static void ErrorStrings(GdbSession session, PacketArguments arguments)
    {
        session.LldbErrorStrings = true;
        session.ReplyOk();
    }

    public static void ThreadStop(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryThread(out ThreadId id) || !arguments.AtEnd)
        {
            session.ReplyMalformed("qThreadStopInfo THREAD");
        }
        else if (id.Thread <= 0 || !session.IsThere(id))
        {
            session.ReplyError(ResumePackets.NoThread(id.Thread));
        }
        else
        {
            Attachment source = session.Find(id)!;
            StopReport stop = source.Target.CurrentStop;
            session.ReplyStop(source, stop.Thread == id.Thread ? stop : new StopReport(id.Thread, StopReason.Signal, 0));
        }
    }

    /// <summary>qRegisterInfo N, in hexadecimal: one register; an error behind the last ends the list.</summary>
    public static void Register(GdbSession session, PacketArguments arguments)
    {
        TargetDescription description = session.Target.Description;
        if (!arguments.TryHex(out ulong number) || !arguments.AtEnd || number >= (ulong)description.Registers.Count)
        {
            session.ReplyError(new TargetError(0x45, "no more registers"));
            return;
        }

        RegisterInfo register = description.Registers[(int)number];
        bool vector = description.Features.Any(feature => feature.Types.Any(type => type.Id == register.Type && type is VectorType or UnionType));
        bool real = register.Type.Contains("ieee", StringComparison.Ordinal) || register.Type.Contains("i387", StringComparison.Ordinal);
        PacketWriter reply = session.Begin();
        Pair("name", register.Name);
        Pair("alt-name", register.AlternateName);
        Pair("bitsize", register.BitSize.ToString(CultureInfo.InvariantCulture));
        Pair("offset", register.Offset.ToString(CultureInfo.InvariantCulture));
        Pair("encoding", register.Encoding ?? (vector ? "vector" : real ? "ieee754" : "uint"));
        Pair("format", register.Format ?? (vector ? "vector-uint8" : real ? "float" : "hex"));
        Pair("set", register.Group ?? "general");
        Pair("ehframe", register.EhFrameNumber?.ToString(CultureInfo.InvariantCulture));
        Pair("dwarf", register.DwarfNumber?.ToString(CultureInfo.InvariantCulture));
        Pair("generic", register.Generic);

        void Pair(string key, string? value)
        {
            if (value is not null)
            {
                reply.Text(key).Text(":"u8).Text(value).Text(";"u8);
            }
        }
    }

    /// <summary>QSaveRegisterState[;thread:ID;]: keeps a thread's registers and says under which number.</summary>
    public static void SaveRegisters(GdbSession session, PacketArguments arguments)
    {
        arguments.TryTake(';');
        if (!session.TryTakeThread(ref arguments, out int thread))
        {
            session.ReplyMalformed("QSaveRegisterState[;thread:THREAD;]");
            return;
        }

        var values = new List<RegisterValue>();
        foreach (RegisterInfo register in session.Target.Description.Registers)
        {
            byte[] value = new byte[register.Size];
            if (session.Target.TryReadRegister(thread, register.Number, value))
            {
                values.Add(new RegisterValue(register.Number, value));
            }
        }

        if (session.SavedRegisters.Count >= GdbSession.MaxSavedRegisters)
        {
            session.SavedRegisters.Remove(session.SavedRegisters.Keys.First());
        }

        int number = ++session.LastSaved;
        session.SavedRegisters[number] = (session.General.Process, thread, values);
        session.Begin().Text(number.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>QRestoreRegisterState:NUMBER[;thread:ID;]: brings them back and forgets them.</summary>
    public static void RestoreRegisters(GdbSession session, PacketArguments arguments)
    {
        arguments.TryTake(':');
        ReadOnlySpan<byte> digits = arguments.TakeUntil(';');
        if (!int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || !session.TryTakeThread(ref arguments, out int thread))
        {
            session.ReplyMalformed("QRestoreRegisterState:NUMBER[;thread:THREAD;]");
        }
        else if (!session.SavedRegisters.Remove(number, out var saved) || saved.Process != session.General.Process)
        {
            session.ReplyError(new TargetError(TargetError.Invalid, $"no registers are kept under {number}"));
        }
        else
        {
            RegisterPackets.Store(session, session.General.HasThread(saved.Thread) ? saved.Thread : thread, saved.Values);
        }
    }

    /// <summary>qMemoryRegionInfo:ADDRESS: the region, mapped or not, around an address.</summary>
    public static void MemoryRegion(GdbSession session, PacketArguments arguments)
    {
        if (session.Target.Regions is not { } regions)
        {
            session.ReplyEmpty();
            return;
        }

        if (arguments.AtEnd || (arguments.TryTake(':') && arguments.AtEnd))
        {
            session.ReplyOk();
            return;
        }

        if (!arguments.TryHex(out ulong address) || !arguments.AtEnd)
        {
            session.ReplyMalformed("qMemoryRegionInfo:ADDRESS");
            return;
        }

        Targets.MemoryRegion region = regions.Find(session.GeneralThread, address);
        PacketWriter reply = session.Begin().Text("start:"u8).HexNumber(region.Start).Text(";size:"u8);

        // A region to the very end has a size one too large to write where it also starts at 0.
        reply.HexNumber(region.Last - region.Start == ulong.MaxValue ? ulong.MaxValue : region.Last - region.Start + 1).Text(";"u8);
        if (region.Access == MemoryAccess.None)
        {
            return;
        }

        reply.Text("permissions:"u8)
            .Text(region.Access.HasFlag(MemoryAccess.Read) ? "r"u8 : ""u8)
            .Text(region.Access.HasFlag(MemoryAccess.Write) ? "w"u8 : ""u8)
            .Text(region.Access.HasFlag(MemoryAccess.Execute) ? "x"u8 : ""u8).Text(";"u8);
        if (region.Name is { } name)
        {
            reply.Text("name:"u8).HexBytes(Encoding.UTF8.GetBytes(name.Length > MaxName ? name[..MaxName] : name)).Text(";"u8);
        }

        ulong[] pages = new ulong[MaxDirtyPages];
        int count = regions.DirtyPages(session.GeneralThread, region.Start, region.Last, pages);
        if (count >= 0)
        {
            reply.Text("dirty-pages:"u8);
            for (int i = 0; i < count; i++)
            {
                reply.Text(i == 0 ? ""u8 : ","u8).HexNumber(pages[i]);
            }

            reply.Text(";"u8);
        }
    }

    /// <summary>jThreadsInfo: every thread with the registers a backtrace starts from, so that lldb need not ask for each.</summary>
    public static void AllThreads(GdbSession session, PacketArguments arguments)
    {
        StopReport stop = session.Target.CurrentStop;
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartArray();
            foreach (TargetThread thread in session.General.Threads)
            {
                if (stream.Length + json.BytesPending > session.Reply.MaxPayload / 4)
                {
                    break;
                }

                json.WriteStartObject();
                json.WriteNumber("tid", thread.Id);
                json.WriteString("name", thread.Name);
                bool stopped = thread.Id == stop.Thread;
                if (stopped)
                {
                    json.WriteNumber("signal", stop.Signal);
                    json.WriteString("reason", GdbSession.LldbReason(stop));
                    if (stop.Description is { } description)
                    {
                        json.WriteString("description", description);
                    }
                }
                else
                {
                    json.WriteString("reason", "none");
                }

                json.WriteStartObject("registers");
                foreach (RegisterInfo register in session.Target.Description.Expedited)
                {
                    byte[] value = new byte[register.Size];
                    if (session.Target.TryReadRegister(thread.Id, register.Number, value))
                    {
                        json.WriteString(register.Number.ToString(CultureInfo.InvariantCulture), Convert.ToHexStringLower(value));
                    }
                }

                json.WriteEndObject();
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        session.Begin().Binary(stream.ToArray());
    }

    /// <summary>jThreadExtendedInfo:{"thread":N}: what is known of a thread beyond its registers.</summary>
    public static void OneThread(GdbSession session, PacketArguments arguments)
    {
        arguments.TryTake(':');
        if (arguments.AtEnd)
        {
            // lldb's question whether there is such a packet.
            session.ReplyOk();
            return;
        }

        byte[] text = new byte[arguments.Rest.Length];
        int id = 0;
        int length = PacketWriter.Unescape(arguments.Rest, text);
        if (length < 0)
        {
            // Sent without the escapes its braces need.
            arguments.Rest.CopyTo(text);
            length = arguments.Rest.Length;
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(text.AsMemory(0, length));
            if (document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("thread", out JsonElement element)
                && element.ValueKind == JsonValueKind.Number)
            {
                element.TryGetInt32(out id);
            }
        }
        catch (JsonException)
        {
            session.ReplyMalformed("jThreadExtendedInfo:{\"thread\":THREAD}");
            return;
        }

        TargetThread thread = session.General.Threads.FirstOrDefault(one => one.Id == id);
        if (thread.Id == 0)
        {
            session.ReplyError(ResumePackets.NoThread(id));
            return;
        }

        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteNumber("thread", thread.Id);
            json.WriteString("name", thread.Name);
            json.WriteString("state", thread.State);
            if (thread.Core is { } core)
            {
                json.WriteNumber("core", core);
            }

            if (session.Target.DescribeThread(thread.Id) is { } more)
            {
                json.WriteString("description", more);
            }

            json.WriteEndObject();
        }

        session.Begin().Binary(stream.ToArray());
    }

    private const int MaxName = 256;

    /// <summary>Most dirty pages one reply lists.</summary>
    private const int MaxDirtyPages = 4096;

    private static void Triple(GdbSession session)
    {
        session.Begin();
        WriteTriple(session);
        if (session.Target.Regions is { } regions)
        {
            session.Reply.Text("vm-page-size:"u8).Text(regions.PageSize.ToString(CultureInfo.InvariantCulture)).Text(";"u8);
        }
    }

    private static void WriteTriple(GdbSession session)
    {
        TargetDescription description = session.Target.Description;
        session.Reply.Text("triple:"u8).HexBytes(Encoding.ASCII.GetBytes(description.Triple))
            .Text(description.BigEndian ? ";endian:big;ptrsize:"u8 : ";endian:little;ptrsize:"u8)
            .HexNumber((ulong)description.PointerSize).Text(";"u8);
    }
}
