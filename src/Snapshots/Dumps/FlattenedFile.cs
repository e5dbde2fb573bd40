using System.Buffers.Binary;
using Snapshots.Kdump;

namespace Snapshots.Dumps;

/// <summary>
/// A file in makedumpfile's flattened form, made for pipes: pieces with their place in front, in the order in which they
/// were written. Read as the file they make up; where two pieces overlap, the later one counts, as when they are written.
/// All numbers are big-endian: 4096 bytes of header (a signature of 16 bytes, type and version of 8), then for each piece
/// its offset and size (8 bytes each) and its bytes; an offset and a size of -1 end the file.
/// Source: makedumpfile's IMPLEMENTATION document, "The flattened format".
/// </summary>
internal sealed class FlattenedFile : ArchiveFile
{
    /// <summary>The first bytes.</summary>
    public static ReadOnlySpan<byte> Signature => "makedumpfile"u8;

    private const int HeaderSize = 4096;
    private const int PieceHeaderSize = 16;

    private readonly ArchiveFile below;
    private readonly Piece[] pieces;

    private FlattenedFile(ArchiveFile below, Piece[] pieces, long length)
        : base(below.Path, length)
    {
        this.below = below;
        this.pieces = pieces;
    }

    /// <summary>Finds the pieces; takes over <paramref name="below"/> when it succeeds.</summary>
    public static FlattenedFile Open(ArchiveFile below)
    {
        Span<byte> header = stackalloc byte[32];
        below.Read(0, header, "flattened header");
        CheckNumber(below, header, 16, "flattened type");
        CheckNumber(below, header, 24, "flattened version");
        List<Piece> pieces = [];
        long length = 0;
        bool ordered = true;
        for (long at = HeaderSize; ;)
        {
            below.Read(at, header[..PieceHeaderSize], "flattened piece");
            long offset = BinaryPrimitives.ReadInt64BigEndian(header);
            long size = BinaryPrimitives.ReadInt64BigEndian(header[8..]);
            if (offset == -1 && size == -1)
            {
                break;
            }

            if (offset < 0 || offset > long.MaxValue / 2)
            {
                throw below.Bad(at, "flattened piece.offset", $"{offset} is no place in a file");
            }

            if (size <= 0 || size > below.Length - at - PieceHeaderSize)
            {
                throw below.Bad(at + 8, "flattened piece.size", $"{size} bytes; the file has {below.Length - at - PieceHeaderSize} more");
            }

            if (pieces.Count == ArchiveLimits.FlattenedPieces)
            {
                throw below.Bad(at, "flattened piece", $"more than {ArchiveLimits.FlattenedPieces} pieces");
            }

            ordered &= offset >= length;
            pieces.Add(new Piece(offset, size, at + PieceHeaderSize));
            length = Math.Max(length, offset + size);
            at += PieceHeaderSize + size;
        }

        return new FlattenedFile(below, ordered ? [.. pieces] : Resolve(pieces), length);
    }

    /// <inheritdoc/>
    public override void Read(long offset, Span<byte> destination, string field)
    {
        if (offset < 0 || offset > Length || destination.Length > Length - offset)
        {
            throw Bad(Math.Max(0, Math.Min(offset, Length)), field, $"the rearranged file ends at 0x{Length:x}; 0x{offset:x} and {destination.Length} bytes on are needed");
        }

        int index = FirstEndingAfter(offset);
        while (!destination.IsEmpty)
        {
            if (index == pieces.Length || pieces[index].Offset >= offset + destination.Length)
            {
                destination.Clear(); // between pieces: a hole of the file
                return;
            }

            Piece piece = pieces[index++];
            if (piece.Offset > offset)
            {
                int gap = (int)(piece.Offset - offset);
                destination[..gap].Clear();
                destination = destination[gap..];
                offset += gap;
            }

            int count = (int)Math.Min(destination.Length, piece.End - offset);
            below.Read(piece.At + (offset - piece.Offset), destination[..count], field);
            destination = destination[count..];
            offset += count;
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing) => below.Dispose();

    private static void CheckNumber(ArchiveFile file, ReadOnlySpan<byte> header, int offset, string field)
    {
        long value = BinaryPrimitives.ReadInt64BigEndian(header[offset..]);
        if (value != 1)
        {
            throw file.Bad(offset, field, $"{value}, must be 1");
        }
    }

    /// <summary>Pieces without overlaps in ascending order, the later written one where two claim a byte.</summary>
    private static Piece[] Resolve(List<Piece> written)
    {
        int[] order = [.. Enumerable.Range(0, written.Count)];
        Array.Sort(order, (a, b) => written[a].Offset != written[b].Offset ? written[a].Offset.CompareTo(written[b].Offset) : a.CompareTo(b));
        List<Piece> resolved = [];
        var open = new PriorityQueue<Piece, int>(); // the last written first
        long at = 0;
        for (int next = 0; next < order.Length || open.Count > 0;)
        {
            while (open.TryPeek(out Piece done, out _) && done.End <= at)
            {
                open.Dequeue();
            }

            if (open.Count == 0)
            {
                if (next == order.Length)
                {
                    break;
                }

                at = Math.Max(at, written[order[next]].Offset);
            }

            while (next < order.Length && written[order[next]].Offset <= at)
            {
                open.Enqueue(written[order[next]], -order[next]);
                next++;
            }

            Piece top = open.Peek();
            if (top.End <= at)
            {
                continue;
            }

            long end = next < order.Length ? Math.Min(top.End, written[order[next]].Offset) : top.End;
            if (resolved.Count > 0 && resolved[^1] is var last && last.End == at && last.At + last.Size == top.At + (at - top.Offset))
            {
                resolved[^1] = last with { Size = end - last.Offset };
            }
            else
            {
                resolved.Add(new Piece(at, end - at, top.At + (at - top.Offset)));
            }

            at = end;
        }

        return [.. resolved];
    }

    private int FirstEndingAfter(long offset)
    {
        int low = 0, high = pieces.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (pieces[middle].End <= offset)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    /// <summary>Bytes of the file to be and where they are in this one.</summary>
    private readonly record struct Piece(long Offset, long Size, long At)
    {
        public long End => Offset + Size;
    }
}
