using Emulator.Memory;

namespace Snapshots;

/// <summary>What an archive may ask of its reader. Each number that comes out of a file is held against one of these.</summary>
public static class ArchiveLimits
{
    /// <summary>Highest page frame number plus one: 256 GiB of RAM and the hole below 4 GiB.</summary>
    public const long PageFrames = (1L << 26) + (1L << 18);

    /// <summary>Ranges of RAM.</summary>
    public const int RamRanges = 1024;

    /// <summary>Virtual CPUs.</summary>
    public const int Vcpus = 256;

    /// <summary>Blocks of 4 KiB that the sub-header and the notes may take: 64 MiB.</summary>
    public const int SubHeaderBlocks = 16384;

    /// <summary>Notes in the notes area.</summary>
    public const int Notes = 4096;

    /// <summary>Bytes of the JSON that describes the capture.</summary>
    public const int InfoBytes = 4 << 20;

    /// <summary>Bytes of the JSON that holds the machine's state.</summary>
    public const int StateBytes = 48 << 20;

    /// <summary>Events of the machine's journal: the last ones are kept.</summary>
    public const int JournalEvents = 128;

    /// <summary>Bytes of VMCOREINFO; a guest's own text beyond this is not kept.</summary>
    public const int VmcoreinfoBytes = 64 << 10;

    /// <summary>Characters of a panic text; what the writer is given beyond this it cuts.</summary>
    public const int PanicTextLength = 1 << 20;

    /// <summary>Bytes of one stored page.</summary>
    public const int BlockBytes = GuestMemory.PageSize;

    /// <summary>Program headers of an ELF dump.</summary>
    public const int ElfSegments = 1 << 17;

    /// <summary>Bytes of the notes of a foreign dump, all its PT_NOTE segments together.</summary>
    public const int NotesBytes = 64 << 20;

    /// <summary>Ranges of RAM of a foreign dump that is only looked at; an archive takes <see cref="RamRanges"/>.</summary>
    public const int DumpRanges = 1 << 20;

    /// <summary>Pieces of a flattened file.</summary>
    public const int FlattenedPieces = 1 << 23;

    /// <summary>Ranges of a LiME file.</summary>
    public const int LimeRanges = 4096;

    /// <summary>Groups of a VMware state file.</summary>
    public const int VmwareGroups = 4096;

    /// <summary>Tags of one group of a VMware state file.</summary>
    public const int VmwareTags = 1 << 20;

    /// <summary>Regions of memory of a VMware state file.</summary>
    public const int VmwareRegions = 64;

    /// <summary>Bytes of a store's log of what was pruned; a longer one is summed up.</summary>
    public const int PruneLogBytes = 1 << 20;

    /// <summary>Titles kept when it is summed up: the newest. A guest can make up any number.</summary>
    public const int PrunedTitles = 2000;

    /// <summary>Problems a verification lists; it counts the others.</summary>
    public const int ListedProblems = 100;
}
