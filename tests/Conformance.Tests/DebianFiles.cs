using Snapshots.Tests.RealTools;

namespace Conformance.Tests;

/// <summary>The Debian guest that scripts/fetch-guests makes.</summary>
internal static class DebianFiles
{
    /// <summary>Where it is, if it is.</summary>
    public static string Directory => Path.Combine(GuestFiles.Directory, "debian");

    /// <summary>The kernel; skips the test where there is none.</summary>
    public static byte[] Kernel() => Read("vmlinuz");

    /// <summary>Our initial RAM disk with busybox.</summary>
    public static byte[] Initrd() => Read("initrd");

    /// <summary>The kernel's debug file; skips the test where there is none.</summary>
    public static string DebugKernel()
    {
        string path = Path.Combine(Directory, "vmlinux");
        Assert.SkipUnless(File.Exists(path), $"no {path}: scripts/fetch-guests --dbg fetches the kernel's debug package");
        return path;
    }

    private static byte[] Read(string name)
    {
        string path = Path.Combine(Directory, name);
        Assert.SkipUnless(File.Exists(path), $"no {path}: run scripts/fetch-guests");
        return File.ReadAllBytes(path);
    }
}
