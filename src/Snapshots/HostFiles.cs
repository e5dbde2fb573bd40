using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Snapshots;

/// <summary>
/// The one place in this assembly that calls the host directly: what .NET's files lack. Linux on x86-64: open(2) without
/// the lock .NET takes on every file it opens, flock(2), whose lock is gone with its holder however that died, and
/// fsync(2) of a directory.
/// </summary>
internal static partial class HostFiles
{
    private const int ReadWrite = 2;
    private const int CreateFlag = 0x40;
    private const int ExclusiveFlag = 0x80;
    private const int NonBlocking = 0x800; // or opening a pipe would wait for its writer
    private const int DirectoryFlag = 0x10000;
    private const int CloseOnExec = 0x80000;
    private const int OwnerOnly = 0x180; // 0600: a guest's RAM is nobody else's business
    private const int LockExclusive = 2;
    private const int LockNonBlocking = 4;
    private const int NoSuchFile = 2; // ENOENT

    /// <summary>Opens for reading.</summary>
    public static SafeFileHandle OpenRead(string path) => Open(path, NonBlocking);

    /// <summary>Opens what is there for reading and writing.</summary>
    public static SafeFileHandle OpenExisting(string path) => Open(path, ReadWrite);

    /// <summary>Creates a file that must not exist.</summary>
    public static SafeFileHandle CreateNew(string path) => Open(path, ReadWrite | CreateFlag | ExclusiveFlag);

    /// <summary>Opens for reading and writing; creates what is not there.</summary>
    public static SafeFileHandle OpenOrCreate(string path) => Open(path, ReadWrite | CreateFlag);

    /// <summary>Locks the file for this open handle; false when another holds it, or the file system has no locks.</summary>
    public static bool TryLock(SafeFileHandle file) => FileLock(file, LockExclusive | LockNonBlocking) == 0;

    /// <summary>Makes names created, renamed or removed in a directory survive a power failure.</summary>
    public static void FlushDirectory(string path)
    {
        using SafeFileHandle directory = Open(path, DirectoryFlag);
        if (Synchronize(directory) != 0)
        {
            throw Failed(path);
        }
    }

    private static SafeFileHandle Open(string path, int flags)
    {
        int file = OpenFile(path, flags | CloseOnExec, OwnerOnly);
        return file >= 0 ? new SafeFileHandle(file, ownsHandle: true) : throw Failed(path);
    }

    private static IOException Failed(string path)
    {
        int error = Marshal.GetLastPInvokeError();
        string message = $"{path}: {Marshal.GetPInvokeErrorMessage(error)}";
        return error == NoSuchFile ? new FileNotFoundException(message, path) : new IOException(message);
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int FileLock(SafeFileHandle file, int operation);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Synchronize(SafeFileHandle file);
}
