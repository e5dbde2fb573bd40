using System.Runtime.InteropServices;
using System.Text;

namespace Cli.Tests.Consoles;

/// <summary>A terminal without a screen: what is written to <see cref="Master"/> is typed at <see cref="Slave"/>. Source: pts(4).</summary>
internal sealed partial class PseudoTerminal : IDisposable
{
    private const int ReadWrite = 2, NoControllingTerminal = 0x100;

    public PseudoTerminal()
    {
        Master = OpenMaster(ReadWrite | NoControllingTerminal);
        byte[] name = new byte[64];
        if (Master < 0 || Grant(Master) != 0 || Unlock(Master) != 0 || SlaveName(Master, name, (nuint)name.Length) != 0)
        {
            Assert.Skip("this machine has no pseudo-terminals");
        }

        Path = Encoding.ASCII.GetString(name).TrimEnd('\0');
        Slave = Open(Path, ReadWrite | NoControllingTerminal);
        if (Slave < 0)
        {
            Assert.Skip($"the pseudo-terminal {Path} cannot be opened here");
        }
    }

    /// <summary>The person's side.</summary>
    public int Master { get; }

    /// <summary>The program's side.</summary>
    public int Slave { get; }

    /// <summary>The program's side as a file.</summary>
    public string Path { get; }

    /// <summary>Types.</summary>
    public void Type(string keys)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(keys);
        Assert.Equal(bytes.Length, Write(Master, bytes, (nuint)bytes.Length));
    }

    /// <summary>What the program printed, at least one byte.</summary>
    public string ReadScreen()
    {
        byte[] buffer = new byte[4096];
        int count = Cli.Host.Terminal.Read(Master, buffer);
        return Encoding.Latin1.GetString(buffer, 0, count);
    }

    public void Dispose()
    {
        _ = Close(Slave);
        _ = Close(Master);
    }

    [LibraryImport("libc", EntryPoint = "posix_openpt")]
    private static partial int OpenMaster(int flags);

    [LibraryImport("libc", EntryPoint = "grantpt")]
    private static partial int Grant(int descriptor);

    [LibraryImport("libc", EntryPoint = "unlockpt")]
    private static partial int Unlock(int descriptor);

    [LibraryImport("libc", EntryPoint = "ptsname_r")]
    private static partial int SlaveName(int descriptor, [Out] byte[] name, nuint length);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint Write(int descriptor, byte[] bytes, nuint count);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
