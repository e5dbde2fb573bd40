using System.Globalization;
using System.Net;
using Debugging.Live;
using GdbStub.Sessions;

namespace Debugging.Tests;

/// <summary>
/// Sessions, the machine's thread and its supervisor as one state machine under events in any order: several clients that
/// ask, resume, interrupt, leave and vanish, crashes with every verdict, restarts and pauses from outside. Whatever comes,
/// each packet has one reply and each resume one stop. GDBSTUB_FUZZ multiplies the effort.
/// </summary>
public sealed class CourseTests
{
    private const int Clients = 3, Events = 300;

    private static readonly int Effort = int.TryParse(Environment.GetEnvironmentVariable("GDBSTUB_FUZZ"), CultureInfo.InvariantCulture, out int effort) ? effort : 1;

    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 8 * Effort)];

    private static readonly string[] Questions =
    [
        "?", "g", "p10", $"m{FakeMachine.Code:x},10", $"m{FakeMachine.UserPage:x},4", "m0,4", "qC", "qfThreadInfo", "T1", "qNothing", "vMustReplyEmpty", "Hg1", "Hgff", "P10",
        "vCont;x", "qXfer:features:read:target.xml:0,10", $"Z0,{FakeMachine.Code + 0x0A:x},1", $"z0,{FakeMachine.Code + 0x0A:x},1", $"Z2,{FakeMachine.Data:x},8",
        $"z2,{FakeMachine.Data:x},8", $"Z0,{FakeMachine.Code + 1:x},1;X3,220027", $"z0,{FakeMachine.Code + 1:x},1", "QPassSignals:e", "qMemoryRegionInfo:0",
    ];

    private static readonly string[] Resumes = ["c", "s", "vCont;c", "vCont;s:1", $"vCont;r{FakeMachine.Code:x},{FakeMachine.Code + 4:x}:1", "C06"];

    [Theory]
    [MemberData(nameof(Seeds))]
    public async Task Whatever_comes_each_packet_has_one_reply_and_each_resume_one_stop(int seed)
    {
        var random = new Random(seed);
        var log = new PacketLog();
        await using LiveMachine live = new(options: new DebugOptions { Resume = true });
        live.Decide = machine => Decide(machine, random.Next(3));
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), live.Provider, log);
        var clients = new Client?[Clients];
        for (int i = 0; i < Events; i++)
        {
            int which = random.Next(Clients);
            Client client = clients[which] ??= new Client(listener.Endpoint);
            switch (random.Next(14))
            {
                case 0:
                    client.Dispose();
                    clients[which] = null;
                    break;

                case 1:
                    // Cut off anywhere in a packet.
                    string packet = $"$m{FakeMachine.Code:x},10#2";
                    client.Raw(packet[..random.Next(1, packet.Length)]);
                    client.Dispose();
                    clients[which] = null;
                    break;

                case 2:
                    client.Leave(random.Next(2) == 0 ? "D" : "k");
                    clients[which] = null;
                    break;

                case 3:
                    live.Runner.Restart();
                    break;

                case 4:
                    live.Runner.Suspend(true);
                    live.Runner.Inspect(view => view.InstructionCount);
                    live.Runner.Suspend(false);
                    break;

                case 5:
                    client.Interrupt();
                    break;

                case 6 or 7:
                    client.Resume(Resumes[random.Next(Resumes.Length)]);
                    break;

                case 8:
                    // To where the machine resets, and on.
                    client.Ask("P10=" + Convert.ToHexStringLower(BitConverter.GetBytes(FakeMachine.Crash)));
                    client.Resume("c");
                    break;

                case 9:
                    client.Monitor(random.Next(4) switch { 0 => "where", 1 => "step into", 2 => "journal 1", _ => "reset" });
                    break;

                default:
                    client.Ask(Questions[random.Next(Questions.Length)]);
                    break;
            }
        }

        foreach (Client client in clients.OfType<Client>())
        {
            client.End();
            client.Dispose();
        }

        Assert.Empty(log.Errors);
        await listener.DisposeAsync();
        Assert.False(live.Runner.HasDebugger);
        Assert.Empty(live.Machine.Breakpoints);
    }

    private static TrapDecision Decide(LiveMachine live, int verdict) => verdict switch
    {
        0 => TrapDecision.Freeze("frozen"),
        1 => TrapDecision.StopThenRunOn(() => live.Restart(live.Machine)),
        _ => TrapDecision.RunOn(live.Restart(live.Machine)),
    };

    /// <summary>A client that knows whether it is owed a stop, and takes no packet that it is not owed.</summary>
    private sealed class Client(GdbEndpoint endpoint) : IDisposable
    {
        private readonly RspClient client = RspClient.Connect(endpoint);
        private bool owed;

        public void Raw(string bytes) => client.SendRaw(bytes);

        public void Ask(string packet)
        {
            // The answer to this one looks like a stop.
            bool asksForStop = packet == "?" && !owed;
            client.Send(asksForStop || packet != "?" ? packet : "qC");
            TakeReply(asksForStop);
        }

        public void Monitor(string command)
        {
            client.Send("qRcmd," + Convert.ToHexStringLower(System.Text.Encoding.ASCII.GetBytes(command)));
            TakeReply(isStop: false);
        }

        public void Resume(string packet)
        {
            TakeStop();
            client.Send(packet);
            owed = true;
        }

        public void Interrupt() => client.SendRaw("\x03");

        public void Leave(string packet)
        {
            client.Send(packet);
            if (packet == "D")
            {
                TakeReply(isStop: false);
            }

            client.Dispose();
        }

        /// <summary>Takes the stop that is owed, and sees that nothing else comes.</summary>
        public void End()
        {
            TakeStop();
            Assert.Equal("QC1", client.Ask("qC"));
        }

        public void Dispose() => client.Dispose();

        private void TakeStop()
        {
            if (owed)
            {
                client.SendRaw("\x03");
                Assert.Matches("^[TE]", client.Receive());
                owed = false;
            }
        }

        /// <summary>The reply to a packet. A stop that was owed may come before it, or the error that says why there is none.</summary>
        private void TakeReply(bool isStop)
        {
            string reply = client.Receive();
            if (owed && (reply.StartsWith('T') || IsRefusal(reply)))
            {
                owed = false;
                reply = client.Receive();
            }

            while (reply.Length > 2 && reply[0] == 'O' && reply != "OK")
            {
                reply = client.Receive();
            }

            Assert.True(isStop == reply.StartsWith('T'), $"not the reply to what was asked: {reply}");
        }

        private static bool IsRefusal(string reply) =>
            reply.StartsWith("E.", StringComparison.Ordinal) && !reply.Contains("running", StringComparison.Ordinal) && (
                reply.Contains("frozen", StringComparison.Ordinal) || reply.Contains("only observes", StringComparison.Ordinal));
    }
}
