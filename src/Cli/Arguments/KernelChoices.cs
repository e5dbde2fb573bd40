using System.CommandLine;
using Cli.Commands;
using Debugging.Kernels;

namespace Cli.Arguments;

/// <summary>What a person chose about guests' kernels in debuggers: --vmlinux and --threads.</summary>
internal sealed class KernelChoices
{
    private static readonly (string Word, ThreadListing Value)[] Listings = [("cpus", ThreadListing.Cpus), ("tasks", ThreadListing.Tasks)];

    private readonly Option<string?> vmlinux = new("--vmlinux")
    {
        Description = "The kernel's debug file, for source lines and local variables [default: looked for by build id in /usr/lib/debug and debuginfod's cache]; none: only what the guest's memory tells",
        HelpName = "file|none",
    };

    private readonly Option<string?> threads = new("--threads")
    {
        Description = "What debuggers list as threads: the vCPUs, or the vCPUs and the kernel's tasks [default: tasks]",
        HelpName = "cpus|tasks",
    };

    /// <summary>Adds the options.</summary>
    public void AddTo(Command command)
    {
        command.Add(vmlinux);
        command.Add(threads);
    }

    /// <summary>The same choices as arguments for another of our commands.</summary>
    public IReadOnlyList<string> Arguments(ParseResult parsed)
    {
        List<string> arguments = [];
        foreach (Option<string?> option in (Option<string?>[])[vmlinux, threads])
        {
            if (parsed.GetValue(option) is { } value)
            {
                arguments.AddRange([option.Name, value]);
            }
        }

        return arguments;
    }

    /// <summary>What was chosen. A file that cannot be any kernel's debug file is refused here.</summary>
    public KernelSymbols Read(ParseResult parsed)
    {
        const string none = "none";
        string? file = parsed.GetValue(vmlinux);
        if (file is not null and not none && DebugFiles.Check(file, buildId: null) is { } problem)
        {
            throw new UserError($"--vmlinux: {problem}");
        }

        return new KernelSymbols
        {
            Threads = CommonOptions.ReadWord(parsed, threads, Listings, ThreadListing.Tasks),
            DebugFiles = file == none ? null : new DebugFiles(["/usr/lib/debug", "/usr/local/lib/debug"], Caches(Environment.GetEnvironmentVariable), file),
        };
    }

    /// <summary>Where debuginfod's client keeps what it fetched: debuginfod_find_debuginfo(3).</summary>
    internal static IReadOnlyList<string> Caches(Func<string, string?> environment)
    {
        var places = new List<string>();
        string? home = environment("HOME");
        if (environment("DEBUGINFOD_CACHE_PATH") is { Length: > 0 } chosen)
        {
            places.Add(chosen);
        }

        if (environment("XDG_CACHE_HOME") is { Length: > 0 } cache)
        {
            places.Add(Path.Combine(cache, "debuginfod_client"));
        }
        else if (!string.IsNullOrEmpty(home))
        {
            places.Add(Path.Combine(home, ".cache", "debuginfod_client"));
        }

        if (!string.IsNullOrEmpty(home))
        {
            places.Add(Path.Combine(home, ".debuginfod_client_cache"));
        }

        return places;
    }
}
