using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Emulator.Memory;

/// <summary>
/// The two levels that find a page's frame: a root of leaves, each leaf 1024 frames (4 MiB of RAM). Nodes are native
/// memory with a reference count each and are shared by any number of roots: what is shared is copied before it changes,
/// the root first, then the leaf, then the page. A null leaf or frame is memory never written.
/// </summary>
internal static unsafe class PageTable
{
    /// <summary>Pages a leaf covers.</summary>
    public const int LeafPages = 1 << LeafShift;

    /// <summary>Page number to leaf number.</summary>
    public const int LeafShift = 10;

    /// <summary>Bytes before a node's first pointer; one cache line keeps the count apart from malloc's neighbours.</summary>
    private const int HeaderSize = 16;

    /// <summary>A node of <paramref name="entries"/> null pointers with one reference.</summary>
    public static Node* Create(int entries)
    {
        var node = (Node*)NativeMemory.AllocZeroed((nuint)(HeaderSize + ((long)entries * sizeof(nint))));
        node->References = 1;
        node->Count = entries;
        return node;
    }

    /// <summary>One more reference to a node the caller already holds one of.</summary>
    public static Node* Share(Node* node)
    {
        Interlocked.Increment(ref node->References);
        return node;
    }

    /// <summary>True when the caller's reference is the only one; see <see cref="FramePool.IsExclusive"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsExclusive(Node* node) => Volatile.Read(ref node->References) == 1;

    /// <summary>A copy of a root that the caller alone owns, for its reference to the shared one.</summary>
    public static Node* CopyRoot(Node* root, FramePool pool)
    {
        Node* copy = Create(root->Count);
        for (int i = 0; i < root->Count; i++)
        {
            var leaf = (Node*)root->Entries[i];
            if (leaf != null)
            {
                copy->Entries[i] = (nint)Share(leaf);
            }
        }

        ReleaseRoot(root, pool);
        return copy;
    }

    /// <summary>A copy of a leaf that the caller alone owns, for its reference to the shared one.</summary>
    public static Node* CopyLeaf(Node* leaf, FramePool pool)
    {
        Node* copy = Create(leaf->Count);
        for (int i = 0; i < leaf->Count; i++)
        {
            nint frame = leaf->Entries[i];
            if (frame != 0)
            {
                FramePool.AddReference((byte*)frame);
                copy->Entries[i] = frame;
            }
        }

        ReleaseLeaf(leaf, pool);
        return copy;
    }

    /// <summary>Drops a reference to a root, and with the last one everything only it held. Any thread may call this.</summary>
    public static void ReleaseRoot(Node* root, FramePool pool)
    {
        if (Interlocked.Decrement(ref root->References) != 0)
        {
            return;
        }

        for (int i = 0; i < root->Count; i++)
        {
            var leaf = (Node*)root->Entries[i];
            if (leaf != null)
            {
                ReleaseLeaf(leaf, pool);
            }
        }

        NativeMemory.Free(root);
    }

    /// <summary>The frame of a page, or null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Find(Node* root, ulong page)
    {
        var leaf = (Node*)root->Entries[page >> LeafShift];
        return leaf == null ? null : (byte*)leaf->Entries[page & (LeafPages - 1)];
    }

    private static void ReleaseLeaf(Node* leaf, FramePool pool)
    {
        if (Interlocked.Decrement(ref leaf->References) == 0)
        {
            pool.Release(new ReadOnlySpan<nint>(leaf->Entries, leaf->Count));
            NativeMemory.Free(leaf);
        }
    }

    /// <summary>Header of a root or leaf; its pointers follow.</summary>
    [StructLayout(LayoutKind.Explicit, Size = HeaderSize + sizeof(long))]
    public struct Node
    {
        /// <summary>Holders: for a root the RAM and its snapshots, for a leaf the roots.</summary>
        [FieldOffset(0)] public int References;

        /// <summary>Pointers that follow.</summary>
        [FieldOffset(4)] public int Count;

        [FieldOffset(HeaderSize)] private fixed long entries[1];

        /// <summary>The pointers: to leaves in a root, to frames in a leaf.</summary>
        public nint* Entries
        {
            [MethodImpl(MethodImplOptions.AggressiveInlining)]
            get => (nint*)((byte*)Unsafe.AsPointer(ref this) + HeaderSize);
        }
    }
}
