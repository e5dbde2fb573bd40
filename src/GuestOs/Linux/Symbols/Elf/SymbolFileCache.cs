namespace GuestOs.Linux.Symbols.Elf;

/// <summary>Symbol files made before, for the next image of the same kernel at the same place. Any thread may call.</summary>
public sealed class SymbolFileCache
{
    /// <summary>Files kept, the last used ones. One takes about 13 MB.</summary>
    public const int MaxFiles = 4;

    private readonly Lock gate = new();
    private readonly LinkedList<SymbolFile> files = new();

    /// <summary>The file of an image: kept from before, or made now. Null when the image has no symbols.</summary>
    /// <param name="image">The image; nobody else may be reading it.</param>
    /// <param name="types">As in <see cref="KernelImage.CreateSymbolFile"/>.</param>
    public SymbolFile? Get(KernelImage image, bool types = true)
    {
        ArgumentNullException.ThrowIfNull(image);
        SymbolFileKey key = SymbolFileKey.Of(image, types);
        lock (gate)
        {
            for (LinkedListNode<SymbolFile>? node = files.First; node is not null; node = node.Next)
            {
                if (key.CanBeShared && node.Value.Key == key)
                {
                    files.Remove(node);
                    files.AddFirst(node);
                    return node.Value;
                }
            }

            SymbolFile? made = image.CreateSymbolFile(types);
            if (made is { Key.CanBeShared: true })
            {
                files.AddFirst(made);
                if (files.Count > MaxFiles)
                {
                    files.RemoveLast();
                }
            }

            return made;
        }
    }
}
