using System.Text;
using Bench.Processes;

namespace Bench.Comparison;

/// <summary>The Debian guest that scripts/fetch-guests makes, and what is put into it to be measured.</summary>
internal sealed class DebianGuest(string directory)
{
    // The CPU QEMU shows is one that leaks (Meltdown, MDS), ours is not; the kernel would switch page tables and clear
    // buffers at each entry under QEMU only, which makes its system calls three times as slow. The other precautions are alike.
    private const string SameWork = "pti=off mds=off";

    /// <summary>The kernel's name.</summary>
    public string Release
    {
        get
        {
            string path = Path.Combine(directory, "release");
            return File.Exists(path) ? File.ReadLines(path).FirstOrDefault() ?? "" : "an unnamed kernel";
        }
    }

    private string Kernel => Path.Combine(directory, "vmlinuz");

    private string Initrd => Path.Combine(directory, "initrd");

    /// <summary>From power-on to the reset after a panic.</summary>
    public GuestImage ThatPanics => new()
    {
        Kernel = Kernel,
        Initrd = Initrd,
        CommandLine = $"console=ttyS0 panic=-1 {SameWork} gdbstub.do=crash",
    };

    /// <summary>
    /// Runs a script and powers off. The initrd is written to <paramref name="initrd"/>: the guest's own, behind it the
    /// programs found in <paramref name="programs"/>, in /bench, and the script, which the guest's init looks for.
    /// </summary>
    public GuestImage ThatRuns(string script, string programs, string initrd)
    {
        var archive = new CpioArchive();
        archive.AddDirectory("bench");
        foreach (string program in Directory.GetFiles(programs).Order(StringComparer.Ordinal))
        {
            archive.AddProgram($"bench/{Path.GetFileName(program)}", File.ReadAllBytes(program));
        }

        archive.AddProgram("gdbstub.sh", Encoding.ASCII.GetBytes(script));
        File.WriteAllBytes(initrd, [.. File.ReadAllBytes(Initrd), .. archive.ToArray()]);
        return new GuestImage { Kernel = Kernel, Initrd = initrd, CommandLine = $"console=ttyS0 quiet panic=-1 {SameWork}" };
    }
}
