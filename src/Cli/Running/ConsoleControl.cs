using System.Globalization;
using System.Text;
using Cli.Consoles;
using Cli.Supervision;
using Emulator;

namespace Cli.Running;

/// <summary>What the person at the console can do to a run: type, and command it from the monitor prompt.</summary>
internal sealed class ConsoleControl : IConsoleListener
{
    private readonly Supervisor supervisor;
    private readonly GuestMachine guest;
    private readonly (string Name, string Help, Func<string> Execute)[] commands;

    /// <summary>For the run of <paramref name="supervisor"/> over <paramref name="guest"/>.</summary>
    public ConsoleControl(Supervisor supervisor, GuestMachine guest)
    {
        this.supervisor = supervisor;
        this.guest = guest;
        commands =
        [
            ("help", "this list", Help),
            ("info", "where the machine stands", Info),
            ("stop", "keep the machine from running", () => Suspend(true)),
            ("cont", "let it run again", () => Suspend(false)),
            ("nmi", "a non-maskable interrupt", () => Do(guest.InjectNmi)),
            ("powerdown", "press the power button (ACPI)", () => Do(guest.PressPowerButton)),
            ("reset", "start the guest again", () => Do(supervisor.Runner.Restart)),
            ("quit", "end the run", () => Do(Quit)),
        ];
    }

    /// <inheritdoc/>
    public void Typed(ReadOnlySpan<byte> bytes) => guest.Type(bytes);

    /// <inheritdoc/>
    public void SendBreak() => guest.SendBreak();

    /// <inheritdoc/>
    public void Quit() => supervisor.RequestEnd(EndRequest.Console);

    /// <inheritdoc/>
    public string Monitor(string line)
    {
        foreach ((string name, _, Func<string> execute) in commands)
        {
            if (name == line)
            {
                return execute();
            }
        }

        return $"there is no command '{line}'; 'help' lists them\n";
    }

    private static string Do(Action action)
    {
        action();
        return "";
    }

    private string Help()
    {
        var text = new StringBuilder();
        foreach ((string name, string help, _) in commands)
        {
            text.Append(CultureInfo.InvariantCulture, $"{name,-10} {help}\n");
        }

        return text.ToString();
    }

    private string Suspend(bool stand)
    {
        supervisor.Runner.Suspend(stand);
        return "";
    }

    private string Info() => supervisor.Runner.Inspect(view =>
    {
        string what = supervisor.Runner.IsFrozen ? guest.LastCrash?.Title ?? "frozen"
            : supervisor.Runner.HasDebugger ? "a debugger has it" : "runs";
        VcpuState vcpu = view.Vcpus[view.CurrentVcpu];
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{what}\n{view.InstructionCount / 1e9:F6} s since power-on, {supervisor.Restarts} restarts\nrip 0x{vcpu.Rip:x}{(vcpu.Halted ? ", halted" : "")}\n");
    });
}
