using Emulator;
using Emulator.Memory;

namespace Conformance.Tests;

/// <summary>Boots of Debian that several tests look at: each is made when the first of them asks.</summary>
public sealed class DebianRuns : IAsyncDisposable
{
    private LiveDebian? live;

    private readonly Lazy<Panicked> panicked = new(Panicked.Run);
    private readonly Lazy<Shell> shell = new(Shell.Run);

    /// <summary>A panic by sysrq-c, nobody having looked.</summary>
    internal Panicked Crash => panicked.Value;

    /// <summary>A shell that waits for a line.</summary>
    internal Shell AtShell => shell.Value;

    /// <summary>The same panic on a machine that a debugger held from its first instruction on, and then again.</summary>
    internal async Task<LiveDebian> LiveAsync() => live ??= await LiveDebian.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (live is not null)
        {
            await live.DisposeAsync();
        }

        if (panicked.IsValueCreated)
        {
            panicked.Value.Guest.Dispose();
        }

        if (shell.IsValueCreated)
        {
            shell.Value.Memory.Dispose();
            shell.Value.Guest.Dispose();
        }
    }

    /// <summary>The machine stands at the resetting instruction.</summary>
    internal sealed record Panicked(GuestRun Guest, MachineExit Exit, string Hash)
    {
        public static Panicked Run()
        {
            GuestRun guest = GuestRun.Debian();
            MachineExit exit = guest.Run();
            return new Panicked(guest, exit, StateHash.Of(guest.Machine));
        }
    }

    /// <summary>A machine and a checkpoint of it, to which it is put back as often as wanted.</summary>
    internal sealed record Shell(GuestRun Guest, MachineState State, MemorySnapshot Memory)
    {
        private const ulong Slice = 100_000_000;

        public static Shell Run()
        {
            GuestRun guest = GuestRun.Debian("console=ttyS0 gdbstub.do=shell");
            for (ulong passed = 0; !guest.Console.Contains("/ # ", StringComparison.Ordinal); passed += Slice)
            {
                Assert.True(passed < GuestRun.Limit, guest.Console);
                Assert.Equal(MachineExitKind.Stepped, guest.Machine.Run(Slice).Kind);
            }

            guest.Machine.Run(Slice);
            return new Shell(guest, guest.Machine.Save(), guest.Machine.Memory.Freeze());
        }

        /// <summary>The machine at its prompt.</summary>
        public GuestRun Again()
        {
            Guest.GoBack(State, Memory);
            return Guest;
        }
    }
}
