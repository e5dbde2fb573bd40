using Emulator;
using GuestOs.Linux.Symbols;

namespace Debugging.Kernels;

/// <summary>The Linux kernel in one connection's machine, as it was when the machine last stood still.</summary>
/// <param name="known">A VMCOREINFO that is probably the kernel's; null when none is known.</param>
internal sealed class KernelLook(Func<string?> known)
{
    // Guest time that has to pass before a machine in which no kernel was found is searched again; doubled each time.
    private const ulong FirstPatience = 200_000_000;

    private IMachineAccess? access;
    private IMachineView? view;
    private long version;
    private ulong searchedAt;
    private ulong patience = FirstPatience;
    private KernelImage? image;

    /// <summary>
    /// The kernel; null when there is none. Known symbols stay known while the kernel is the same, so that this costs little
    /// after a step. The caller is visiting <paramref name="visited"/>, and uses the image for no longer.
    /// </summary>
    /// <param name="where">The machine.</param>
    /// <param name="visited">What its visit gave.</param>
    /// <param name="search">Look through all of memory even if that was in vain a short while ago.</param>
    public KernelImage? Of(IMachineAccess where, IMachineView visited, bool search = false)
    {
        bool same = access == where && view == visited;
        if (same && version == where.Version && (image is not null || !search))
        {
            return image;
        }

        image = same ? image?.Again() : null;
        if (image is null && (search || !same || visited.InstructionCount - searchedAt >= patience))
        {
            patience = same ? Math.Min(2 * patience, ulong.MaxValue / 4) : FirstPatience;
            searchedAt = visited.InstructionCount;

            // What an earlier boot left behind in the memory of a machine that runs has nothing to do with it.
            image = KernelImage.Find(visited, known()) is { } found && (found.Kernel.Running || where is ImageAccess) ? found : null;
        }

        (access, view, version) = (where, visited, where.Version);
        return image;
    }
}
