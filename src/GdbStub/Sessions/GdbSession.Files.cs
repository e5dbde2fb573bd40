using GdbStub.Packets;
using GdbStub.Targets;

namespace GdbStub.Sessions;

/// <summary>The virtual files and the registers a session keeps for its client.</summary>
public sealed partial class GdbSession
{
    /// <summary>Most files open at a time.</summary>
    internal const int MaxFiles = 32;

    /// <summary>Most sets of registers kept at a time; the oldest goes.</summary>
    internal const int MaxSavedRegisters = 64;

    private readonly IVirtualFile?[] files = new IVirtualFile?[MaxFiles];

    /// <summary>Register sets by number, for lldb.</summary>
    internal SortedDictionary<int, (int Process, int Thread, List<RegisterValue> Values)> SavedRegisters { get; } = [];

    /// <summary>The last number given.</summary>
    internal int LastSaved { get; set; }

    /// <summary>The process whose files are opened by name; 0 for the chosen one.</summary>
    internal int FileProcess { get; set; }

    /// <summary>The files that are opened by name; null when there are none, or that process is not attached.</summary>
    internal IVirtualFiles? Files => Find(new ThreadId(FileProcess, 0))?.Target.Files;

    /// <summary>Keeps an open file; -1 when there are too many.</summary>
    internal int KeepFile(IVirtualFile file)
    {
        int place = Array.IndexOf(files, null);
        if (place >= 0)
        {
            files[place] = file;
        }

        return place;
    }

    /// <summary>An open file; null when there is none of that number.</summary>
    internal IVirtualFile? File(ulong number) => number < MaxFiles ? files[number] : null;

    /// <summary>Closes one; false when there is none.</summary>
    internal bool CloseFile(ulong number)
    {
        if (File(number) is not { } file)
        {
            return false;
        }

        files[number] = null;
        file.Dispose();
        return true;
    }

    private void CloseFiles()
    {
        for (ulong i = 0; i < MaxFiles; i++)
        {
            try
            {
                CloseFile(i);
            }
            catch (Exception exception)
            {
                logger.ReleaseFailed(exception, number);
            }
        }
    }
}
