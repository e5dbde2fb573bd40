using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Cli.Archives;
using Cli.Status;

namespace Cli.Commands;

/// <summary>gdbstub ps: the machines that run now.</summary>
internal sealed class ProcessesCommand : Command, IExample
{
    private readonly Option<bool> json = new("--json") { Description = "An array of objects" };

    /// <summary>The command.</summary>
    public ProcessesCommand()
        : base("ps", "Lists the machines that `gdbstub run` and `gdbstub up` run now, of this user.")
    {
        Add(json);
        SetAction(parsed => List(parsed.GetValue(json)));
    }

    /// <inheritdoc/>
    public string Example => "gdbstub ps\ngdbstub ps --json";

    private static int List(bool json)
    {
        string directory = StatusDirectory.Resolve(Environment.GetEnvironmentVariable)
            ?? throw new UserError("there is no directory to look in: set XDG_RUNTIME_DIR or GDBSTUB_RUNTIME");
        IReadOnlyList<MachineStatus> machines = RunningMachines.List(directory, out IReadOnlyList<string> silent);
        foreach (string problem in silent)
        {
            Console.Error.WriteLine($"gdbstub: {ArchiveText.Printable(problem)}");
        }

        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize([.. machines], MachineStatusJson.Default.MachineStatusArray));
        }
        else if (machines.Count == 0)
        {
            Console.Error.WriteLine("no machines run");
        }
        else
        {
            DateTimeOffset now = DateTimeOffset.UtcNow;
            Console.Out.Write(ArchiveText.Table(
                [">PID", "MACHINE", "STATE", ">FOR", ">REBOOTS", ">CRASHES", "GDB", "LAST CRASH"],
                machines.Select(machine => (string[])
                [
                    machine.Pid.ToString(CultureInfo.InvariantCulture), machine.Machine, machine.State + (machine.Debugger ? " (debugger)" : ""), Age(now - machine.Since),
                    machine.Reboots.ToString(CultureInfo.InvariantCulture), machine.Crashes.ToString(CultureInfo.InvariantCulture), machine.Gdb ?? "-",
                    machine.Problem ?? machine.LastCrash ?? "",
                ])));
        }

        return silent.Count == 0 ? ExitCode.Success : ExitCode.Error;
    }

    private static string Age(TimeSpan age) =>
        age.TotalSeconds < 120 ? string.Create(CultureInfo.InvariantCulture, $"{Math.Max(0, age.TotalSeconds):F0}s")
        : age.TotalMinutes < 120 ? string.Create(CultureInfo.InvariantCulture, $"{age.TotalMinutes:F0}m")
        : age.TotalHours < 48 ? string.Create(CultureInfo.InvariantCulture, $"{age.TotalHours:F0}h")
        : string.Create(CultureInfo.InvariantCulture, $"{age.TotalDays:F0}d");
}
