namespace Snapshots.Tests.RealTools;

/// <summary>
/// A Debian kernel and its debug file, fetched once: the directory is $GDBSTUB_GUESTS, else gdbstub/guests in the XDG
/// cache. A release is whatever has both vmlinuz-RELEASE and vmlinux-RELEASE there.
/// </summary>
internal static class GuestFiles
{
    public static string Directory =>
        Environment.GetEnvironmentVariable("GDBSTUB_GUESTS")
        ?? Path.Combine(
            Environment.GetEnvironmentVariable("XDG_CACHE_HOME") ?? Path.Combine(Environment.GetEnvironmentVariable("HOME") ?? "/", ".cache"),
            "gdbstub", "guests");

    /// <summary>The kernel image and the debug file of the newest release that has both; skips the test otherwise.</summary>
    public static (string Kernel, string Debug) KernelOrSkip()
    {
        string[] kernels = System.IO.Directory.Exists(Directory) ? System.IO.Directory.GetFiles(Directory, "vmlinuz-*") : [];
        foreach (string kernel in kernels.OrderDescending(StringComparer.Ordinal))
        {
            string debug = Path.Combine(Directory, Path.GetFileName(kernel).Replace("vmlinuz-", "vmlinux-", StringComparison.Ordinal));
            if (File.Exists(debug))
            {
                return (kernel, debug);
            }
        }

        Assert.Skip($"no Debian kernel with its debug file (linux-image-*-dbg) in {Directory}");
        return default;
    }

    /// <summary>The program's path; skips the test when it is not installed.</summary>
    public static string ProgramOrSkip(string name, string package)
    {
        foreach (string directory in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries))
        {
            string path = Path.Combine(directory, name);
            if (File.Exists(path))
            {
                return path;
            }
        }

        Assert.Skip($"{name} is not installed (Debian package {package})");
        return "";
    }
}
