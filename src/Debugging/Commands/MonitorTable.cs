using System.Globalization;
using System.Text;

namespace Debugging.Commands;

/// <summary>The commands of <c>monitor</c>: the built-in ones, then those of the composition. A unique beginning of a name is enough.</summary>
internal sealed class MonitorTable
{
    private readonly MonitorCommand[] commands;

    /// <param name="options">Its commands are added.</param>
    public MonitorTable(DebugOptions options) =>
        commands =
        [
            new("help", "[COMMAND]", "this list, or one command", (_, name) => Help(name)),
            .. GuestCommands.All,
            .. RegisterCommands.All,
            .. MemoryCommands.All,
            .. DeviceCommands.All,
            .. ControlCommands.All,
            .. options.Kernels is null ? [] : KernelCommands.All,
            .. options.Commands,
        ];

    /// <summary>Runs a command line.</summary>
    public string Execute(MonitorContext context, string line)
    {
        string[] words = line.Split((char[]?)null, 2, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (words.Length == 0)
        {
            return Help("");
        }

        MonitorCommand[] found = Find(words[0]);
        return found.Length switch
        {
            1 => found[0].Execute(context, words.Length > 1 ? words[1] : ""),
            0 => $"there is no command '{words[0]}'; 'monitor help' lists them\n",
            _ => $"'{words[0]}' could be {string.Join(" or ", found.Select(command => command.Name))}\n",
        };
    }

    private MonitorCommand[] Find(string name)
    {
        MonitorCommand[] exact = [.. commands.Where(command => command.Name == name)];
        return exact.Length > 0 ? exact[..1] : [.. commands.Where(command => command.Name.StartsWith(name, StringComparison.Ordinal))];
    }

    private string Help(string name)
    {
        MonitorCommand[] shown = name.Length == 0 ? commands : Find(name);
        if (shown.Length == 0)
        {
            return $"there is no command '{name}'; 'monitor help' lists them\n";
        }

        var text = new StringBuilder();
        foreach (MonitorCommand command in shown)
        {
            text.Append(CultureInfo.InvariantCulture, $"{command.Name + " " + command.Arguments,-22} {command.Help}\n");
        }

        return text.ToString();
    }
}
