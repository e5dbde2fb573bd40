namespace Snapshots.Tests.RealTools;

/// <summary>
/// A Debian kernel and its debug file as scripts/fetch-guests --dbg leaves them: in $GDBSTUB_GUESTS, else in gdbstub/guests
/// of the XDG cache.
/// </summary>
internal static class GuestFiles
{
    public static string Directory =>
        Environment.GetEnvironmentVariable("GDBSTUB_GUESTS")
        ?? Path.Combine(
            Environment.GetEnvironmentVariable("XDG_CACHE_HOME") ?? Path.Combine(Environment.GetEnvironmentVariable("HOME") ?? "/", ".cache"),
            "gdbstub", "guests");

    /// <summary>The kernel image and its debug file; skips the test when one of them is not there.</summary>
    public static (string Kernel, string Debug) KernelOrSkip()
    {
        string kernel = Path.Combine(Directory, "debian", "vmlinuz"), debug = Path.Combine(Directory, "debian", "vmlinux");
        Assert.SkipUnless(File.Exists(kernel) && File.Exists(debug), $"no Debian kernel with its debug file in {Directory}: scripts/fetch-guests --dbg");
        return (kernel, debug);
    }

    /// <summary>The static busybox fetched beside the kernel, else the installed one; skips the test when there is none.</summary>
    public static string BusyboxOrSkip()
    {
        string fetched = Path.Combine(Directory, "debian", "busybox");
        return File.Exists(fetched) ? fetched : ProgramOrSkip("busybox", "busybox-static");
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
