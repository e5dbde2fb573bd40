using System.Globalization;
using System.Text;
using Emulator;
using Emulator.Boot;
using Emulator.Devices;
using GuestOs.Linux;
using Snapshots;
using Snapshots.Tests;
using Snapshots.Tests.RealTools;

namespace Conformance.Tests.Symbols;

/// <summary>A Debian kernel of scripts/fetch-kernels, with modules loaded, that panics inside one of them.</summary>
internal sealed class KernelRun : IDisposable
{
    private static readonly string[] ModuleOrder =
        ["watchdog", "softdog", "crc16", "crc32c_generic", "mbcache", "jbd2", "ext4", "loop", "dummy", "virtio_ring", "virtio", "virtio_blk"];

    private readonly string directory;
    private readonly StringBuilder console = new();
    private readonly Machine machine;

    private KernelRun(string directory)
    {
        this.directory = directory;
        DebugKernel = Path.Combine(directory, "vmlinux");
        machine = new Machine(new MachineOptions { Memory = 384UL << 20, ErstStore = new ErstStore(), Com1Output = sent => console.Append((char)sent) });
        machine.Boot(new BootRequest
        {
            Kernel = File.ReadAllBytes(Path.Combine(directory, "vmlinuz")),
            Initrd = (byte[])[.. DebianFiles.Initrd(), .. Modules(Path.Combine(directory, "modules"))],
            MemoryMap = [],
            CommandLine = "console=ttyS0 panic=1",
        });
        Exit = machine.Run(GuestRun.Limit);
        TestContext.Current.TestOutputHelper?.WriteLine($"{Exit}\n{console}");
    }

    public string DebugKernel { get; }

    /// <summary>Those modules whose debug files are there lie where a debug package has them.</summary>
    public bool HasModuleDebugFiles => File.Exists(DebugKernel) && Directory.Exists(Path.Combine(directory, "lib", "modules"));

    public MachineExit Exit { get; }

    public Machine Machine => machine;

    public string Console => console.ToString();

    /// <summary>The file of a module.</summary>
    public string Module(string name) => Path.Combine(directory, "modules", name + ".ko");

    /// <summary>Runs the named kernel; skips the test where it was not fetched.</summary>
    public static KernelRun Of(string name)
    {
        string directory = Path.Combine(GuestFiles.Directory, "kernels", name);
        Assert.SkipUnless(File.Exists(Path.Combine(directory, "vmlinuz")), $"no {directory}: scripts/fetch-kernels --dbg {name}");
        return new KernelRun(directory);
    }

    /// <summary>The machine as an archive, for tools that read one; <paramref name="process"/> ran on its CPU.</summary>
    public static string Archive(Machine machine, MachineExit exit, int process, TemporaryDirectory directory)
    {
        using var snapshot = new Snapshot(machine.Memory.Freeze(), machine.Save(), new CaptureInfo
        {
            Kind = CaptureKind.Panic,
            Title = "panic",
            HostTime = DateTimeOffset.UnixEpoch,
            StopCause = exit,
            RunningProcesses = [process],
            Vmcoreinfo = LinuxKernel.FindRunning(machine) is { } kernel ? Encoding.Latin1.GetString(kernel.Info.Text.Span) : null,
        });
        return Store.Open(directory.File("store")).Write(snapshot, cancellation: TestContext.Current.CancellationToken).Path;
    }

    public void Dispose() => machine.Dispose();

    // A second cpio archive behind the first: the modules, and a script that loads them and lets softdog's timer run out.
    private static byte[] Modules(string directory)
    {
        var archive = new MemoryStream();
        var script = new StringBuilder();
        foreach (string module in ModuleOrder)
        {
            string path = Path.Combine(directory, module + ".ko");
            if (File.Exists(path))
            {
                Entry(archive, module + ".ko", 0x81A4, File.ReadAllBytes(path));
                script.Append(CultureInfo.InvariantCulture, $"insmod /{module}.ko {(module == "softdog" ? "soft_margin=1 soft_panic=1" : "")}\n");
            }
        }

        script.Append("cat /proc/modules\nsleep 1000 &\necho x > /dev/watchdog\nsleep 20\n");
        Entry(archive, "gdbstub.sh", 0x81ED, Encoding.ASCII.GetBytes(script.ToString()));
        Entry(archive, "TRAILER!!!", 0, []);
        return archive.ToArray();
    }

    // "newc": kernel Documentation/driver-api/early-userspace/buffer-format.rst.
    private static void Entry(MemoryStream archive, string name, int mode, byte[] contents)
    {
        int[] fields = [(int)archive.Length + 1, mode, 0, 0, 1, 0, contents.Length, 0, 0, 0, 0, name.Length + 1, 0];
        archive.Write(Encoding.ASCII.GetBytes("070701" + string.Concat(fields.Select(field => field.ToString("X8", CultureInfo.InvariantCulture))) + name + "\0"));
        Pad(archive);
        archive.Write(contents);
        Pad(archive);
    }

    private static void Pad(MemoryStream archive)
    {
        while (archive.Length % 4 != 0)
        {
            archive.WriteByte(0);
        }
    }
}
