namespace Emulator.Devices;

/// <summary>
/// The error records a guest keeps in the machine: they outlive its resets, so this object belongs to whoever starts
/// machines and is handed to each. Not thread-safe: it is touched by the machine's thread and while that stands still.
/// </summary>
public sealed class ErstStore
{
    /// <summary>Bytes a store holds unless told otherwise.</summary>
    public const int DefaultCapacity = 1024 * 1024;

    /// <summary>Records a store holds at most, however small.</summary>
    public const int MaximumRecords = 1024;

    private readonly List<ErstRecord> records = [];

    /// <summary>A store for <paramref name="capacity"/> bytes of records.</summary>
    public ErstStore(int capacity = DefaultCapacity)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(capacity);
        Capacity = capacity;
    }

    /// <summary>Bytes of records that fit.</summary>
    public int Capacity { get; }

    /// <summary>Bytes of records in it.</summary>
    public int Used { get; private set; }

    /// <summary>The records, oldest first.</summary>
    public IReadOnlyList<ErstRecord> Records => records;

    /// <summary>Keeps a record, in the place of one with the same identifier; false when there is no room, and nothing has changed then.</summary>
    public bool TryWrite(ulong id, ReadOnlySpan<byte> contents)
    {
        int at = IndexOf(id);
        int replaced = at < 0 ? 0 : records[at].Contents.Length;
        if (contents.Length > Capacity - (Used - replaced) || (at < 0 && records.Count == MaximumRecords))
        {
            return false;
        }

        var record = new ErstRecord(id, contents.ToArray());
        if (at < 0)
        {
            records.Add(record);
        }
        else
        {
            records[at] = record;
        }

        Used += contents.Length - replaced;
        return true;
    }

    /// <summary>Forgets a record; false when there is none with that identifier.</summary>
    public bool TryClear(ulong id)
    {
        int at = IndexOf(id);
        if (at < 0)
        {
            return false;
        }

        Used -= records[at].Contents.Length;
        records.RemoveAt(at);
        return true;
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        records.Clear();
        Used = 0;
    }

    /// <summary>The position of a record in <see cref="Records"/>, or -1.</summary>
    public int IndexOf(ulong id)
    {
        for (int i = 0; i < records.Count; i++)
        {
            if (records[i].Id == id)
            {
                return i;
            }
        }

        return -1;
    }
}

/// <summary>One error record: a whole CPER as the guest wrote it.</summary>
/// <param name="Id">The record identifier of its header.</param>
/// <param name="Contents">The bytes, header first; never changed.</param>
public sealed record ErstRecord(ulong Id, byte[] Contents);
