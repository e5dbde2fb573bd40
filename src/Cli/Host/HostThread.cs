using System.Runtime.InteropServices;

namespace Cli.Host;

/// <summary>What the runtime does not do to a thread of the host's. Linux: setpriority(2), which there means one thread alone.</summary>
internal static partial class HostThread
{
    private const int PriorityOfProcess = 0; // PRIO_PROCESS; with 0 the calling thread
    private const int Niceness = 10;

    /// <summary>
    /// From now on the calling thread takes what others leave: beside a thread that is always busy, on the same CPU, about a
    /// tenth. Where that cannot be said nothing changes.
    /// </summary>
    public static void GiveWay()
    {
        if (OperatingSystem.IsLinux())
        {
            _ = SetPriority(PriorityOfProcess, 0, Niceness);
        }
    }

    [LibraryImport("libc", EntryPoint = "setpriority")]
    private static partial int SetPriority(int which, uint who, int priority);
}
