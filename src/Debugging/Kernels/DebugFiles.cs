using System.Collections.Concurrent;

namespace Debugging.Kernels;

/// <summary>
/// Debug files of kernels on this host, where distributions' debug packages and debuginfod's client put them, and any that
/// was named. Only a file of the kernel's own build id is ever given.
/// </summary>
public sealed class DebugFiles : IDebugFiles
{
    // Known places below a directory of debug packages; {0} is the release.
    private static readonly string[] Places =
        ["boot/vmlinux-{0}", "lib/modules/{0}/vmlinux", "usr/lib/modules/{0}/vmlinux", "boot/vmlinux-{0}.debug", "lib/modules/{0}/vmlinux.debug", "usr/lib/modules/{0}/vmlinux.debug"];

    // Below the same: the modules, in directories as their sources.
    private static readonly string[] ModulePlaces = ["lib/modules", "usr/lib/modules"];

    private static readonly EnumerationOptions Below = new() { RecurseSubdirectories = true, IgnoreInaccessible = true, AttributesToSkip = FileAttributes.ReparsePoint, MaxRecursionDepth = 16 };

    private readonly IReadOnlyList<string> packages;
    private readonly IReadOnlyList<string> caches;
    private readonly ConcurrentDictionary<string, DebugFile> found = [];
    private readonly ConcurrentDictionary<string, ILookup<string, string>> modules = [];

    /// <param name="packages">Directories of debug packages, as /usr/lib/debug.</param>
    /// <param name="caches">Directories of debuginfod's client: BUILDID/debuginfo lies below.</param>
    /// <param name="named">A file that comes before all others; see <see cref="Check"/>.</param>
    public DebugFiles(IReadOnlyList<string> packages, IReadOnlyList<string> caches, string? named)
    {
        this.packages = packages;
        this.caches = caches;
        Named = named;
    }

    /// <inheritdoc/>
    public string? Named { get; }

    /// <summary>
    /// Why a named file cannot be a kernel's: what is wrong with it, or the build ids of both. Null when it can, or when the
    /// kernel does not tell its build id.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="buildId">The kernel's build id; null when it is not known.</param>
    public static string? Check(string path, string? buildId)
    {
        if (!File.Exists(path))
        {
            return $"there is no file {path}";
        }

        if (ElfHeader.TryRead(path) is not { } header)
        {
            return $"{path} is not an ELF file, or cannot be read: give the vmlinux of the kernel's debug package";
        }

        if (!header.HasDebugInformation)
        {
            return $"{path} has no debug information: give the vmlinux of the kernel's debug package, not the one that boots";
        }

        if (header.BuildId is null)
        {
            return $"{path} has no build id, so it cannot be told whether it is of this kernel";
        }

        return buildId is null || header.BuildId == buildId ? null
            : $"{path} is of another kernel: its build id is {header.BuildId}, the guest's kernel has {buildId}";
    }

    /// <inheritdoc/>
    public DebugFile? Find(string release, string buildId)
    {
        ArgumentException.ThrowIfNullOrEmpty(release);
        ArgumentException.ThrowIfNullOrEmpty(buildId);
        return Find(buildId, Candidates(release, buildId));
    }

    /// <inheritdoc/>
    public DebugFile? FindModule(string release, string name, string buildId)
    {
        ArgumentException.ThrowIfNullOrEmpty(release);
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentException.ThrowIfNullOrEmpty(buildId);
        return Find(buildId, ModuleCandidates(release, name, buildId));
    }

    /// <inheritdoc/>
    public string? Complaint(string? buildId) => Named is null ? null : Check(Named, buildId);

    // The release is the guest's word: it may name a file, but lead nowhere.
    private static bool IsName(string release) => release.AsSpan().IndexOfAny('/', '\\', '\0') < 0 && release[0] != '.';

    private DebugFile? Find(string buildId, IEnumerable<string> candidates)
    {
        if (buildId.Length < 4 || buildId.AsSpan().ContainsAnyExcept("0123456789abcdef"))
        {
            return null;
        }

        if (found.TryGetValue(buildId, out DebugFile? known))
        {
            return known;
        }

        // One that was not there may be installed later.
        foreach (string path in candidates)
        {
            if (ElfHeader.TryRead(path) is { HasDebugInformation: true } header && header.BuildId == buildId)
            {
                return found.GetOrAdd(buildId, new DebugFile(path, buildId));
            }
        }

        return null;
    }

    private IEnumerable<string> Candidates(string release, string buildId)
    {
        if (Named is not null)
        {
            yield return Named;
        }

        bool isName = IsName(release);
        foreach (string directory in packages)
        {
            yield return Path.Combine(directory, ".build-id", buildId[..2], $"{buildId[2..]}.debug");
            foreach (string place in isName ? Places : [])
            {
                yield return Path.Combine(directory, string.Format(System.Globalization.CultureInfo.InvariantCulture, place, release));
            }
        }

        foreach (string directory in caches)
        {
            yield return Path.Combine(directory, buildId, "debuginfo");
        }

        if (isName)
        {
            yield return $"/lib/modules/{release}/build/vmlinux";
        }
    }

    private IEnumerable<string> ModuleCandidates(string release, string name, string buildId)
    {
        foreach (string directory in packages)
        {
            yield return Path.Combine(directory, ".build-id", buildId[..2], $"{buildId[2..]}.debug");
        }

        foreach (string directory in caches)
        {
            yield return Path.Combine(directory, buildId, "debuginfo");
        }

        foreach (string path in IsName(release) ? ModulesOf(release)[name.Replace('-', '_')] : [])
        {
            yield return path;
        }
    }

    // Files by the names of their modules, in which the kernel has no hyphens.
    private ILookup<string, string> ModulesOf(string release)
    {
        if (modules.TryGetValue(release, out ILookup<string, string>? known))
        {
            return known;
        }

        ILookup<string, string> all = packages.Concat(AroundNamed()).Distinct()
            .SelectMany(directory => ModulePlaces, (directory, place) => Path.Combine(directory, place, release))
            .Where(Directory.Exists)
            .SelectMany(directory => Directory.EnumerateFiles(directory, "*.ko*", Below))
            .Where(path => path.EndsWith(".ko", StringComparison.Ordinal) || path.EndsWith(".ko.debug", StringComparison.Ordinal))
            .ToLookup(path => Path.GetFileName(path).Split('.')[0].Replace('-', '_'));
        return all.Count > 0 ? modules.GetOrAdd(release, all) : all;
    }

    // A package that was unpacked somewhere has its modules beside the kernel's file, or further up.
    private IEnumerable<string> AroundNamed()
    {
        for (string? directory = Path.GetDirectoryName(Named is null ? null : Path.GetFullPath(Named)); directory is not null; directory = Path.GetDirectoryName(directory))
        {
            yield return directory;
        }
    }
}
