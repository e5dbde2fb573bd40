using System.Buffers.Binary;
using Emulator.Memory;

namespace Emulator.Devices;

/// <summary>What can be written to the action register, by the numbers ACPI gives them (ACPI 6.4 table 18.22).</summary>
internal enum ErstAction : byte
{
    BeginWrite = 0x0,
    BeginRead = 0x1,
    BeginClear = 0x2,
    EndOperation = 0x3,
    SetRecordOffset = 0x4,
    ExecuteOperation = 0x5,
    CheckBusyStatus = 0x6,
    GetCommandStatus = 0x7,
    GetRecordIdentifier = 0x8,
    SetRecordIdentifier = 0x9,
    GetRecordCount = 0xA,
    BeginDummyWrite = 0xB,
    GetErrorLogAddressRange = 0xD,
    GetErrorLogAddressRangeLength = 0xE,
    GetErrorLogAddressRangeAttributes = 0xF,
    GetExecuteOperationTimings = 0x10,
}

/// <summary>The results of GET_COMMAND_STATUS (ACPI 6.4 table 18.23).</summary>
internal enum ErstStatus : byte
{
    Success = 0,
    NotEnoughSpace = 1,
    HardwareNotAvailable = 2,
    Failed = 3,
    RecordStoreEmpty = 4,
    RecordNotFound = 5,
}

/// <summary>
/// Error record serialization: an action register at offset 0 and a value register at offset 8, which the instructions
/// in the ERST table drive, and an exchange buffer. Every operation is finished when EXECUTE_OPERATION returns.
/// Source: ACPI Specification 6.4 §18.5 "Error Serialization"; the record header: UEFI 2.9 appendix N.2.1.
/// </summary>
public sealed class Erst : IMmioDevice
{
    /// <summary>Offset of the action register, 32 bits, write-only.</summary>
    public const ulong ActionOffset = 0;

    /// <summary>Offset of the value register, 64 bits.</summary>
    public const ulong ValueOffset = 8;

    /// <summary>Bytes of the register window.</summary>
    public const ulong RegistersSize = 0x1000;

    /// <summary>The shortest record: a CPER header.</summary>
    public const int RecordHeaderSize = 128;

    // ERST's names for "the first record" and for "there is none".
    private const ulong UnspecifiedRecord = 0, InvalidRecord = ulong.MaxValue;

    // Microseconds an operation takes at the most, and as a rule.
    private const ulong Timings = (100UL << 32) | 1;

    private readonly ErstStore store;
    private readonly IMachineSignals signals;
    private readonly byte[] buffer = new byte[PhysicalLayout.ErstBufferSize];
    private ErstAction operation = ErstAction.EndOperation;
    private ErstStatus status;
    private ulong value;
    private ulong recordOffset;
    private ulong recordId;
    private int cursor;

    internal Erst(ErstStore store, IMachineSignals signals)
    {
        this.store = store;
        this.signals = signals;
        BufferWindow = new ErstBuffer(buffer);
    }

    /// <summary>The exchange buffer as the guest sees it.</summary>
    public ReadOnlySpan<byte> Buffer => buffer;

    /// <summary>The exchange buffer's window of device memory.</summary>
    internal IMmioDevice BufferWindow { get; }

    /// <inheritdoc/>
    public ulong ReadMmio(ulong offset, int size)
    {
        if (offset is < ValueOffset or >= ValueOffset + 8)
        {
            return 0;
        }

        ulong shifted = value >> (8 * (int)(offset - ValueOffset));
        return size >= 8 ? shifted : shifted & ((1UL << (8 * size)) - 1);
    }

    /// <inheritdoc/>
    public void WriteMmio(ulong offset, int size, ulong written)
    {
        if (offset == ActionOffset)
        {
            Act((ErstAction)(byte)written);
        }
        else if (offset is >= ValueOffset and < ValueOffset + 8)
        {
            int shift = 8 * (int)(offset - ValueOffset);
            ulong mask = (size >= 8 ? ulong.MaxValue : (1UL << (8 * size)) - 1) << shift;
            value = (value & ~mask) | ((written << shift) & mask);
        }
    }

    /// <summary>Power-on; the records stay.</summary>
    internal void Reset()
    {
        buffer.AsSpan().Clear();
        operation = ErstAction.EndOperation;
        status = ErstStatus.Success;
        value = recordOffset = recordId = 0;
        cursor = 0;
    }

    internal ErstState Save()
    {
        var records = new ErstRecord[store.Records.Count];
        for (int i = 0; i < records.Length; i++)
        {
            records[i] = store.Records[i];
        }

        return new ErstState(
            Operation: (byte)operation,
            Status: (byte)status,
            Value: value,
            RecordOffset: recordOffset,
            RecordId: recordId,
            Cursor: cursor,
            Buffer: buffer.AsSpan().TrimEnd((byte)0).ToArray(),
            Records: records);
    }

    internal void Load(ErstState state)
    {
        operation = (ErstAction)state.Operation;
        status = (ErstStatus)state.Status;
        value = state.Value;
        recordOffset = state.RecordOffset;
        recordId = state.RecordId;
        cursor = Math.Max(state.Cursor, 0);
        buffer.AsSpan().Clear();
        state.Buffer.AsSpan(0, Math.Min(state.Buffer.Length, buffer.Length)).CopyTo(buffer);
        store.Clear();
        foreach (ErstRecord record in state.Records)
        {
            store.TryWrite(record.Id, record.Contents);
        }
    }

    private void Act(ErstAction action)
    {
        switch (action)
        {
            case ErstAction.BeginWrite or ErstAction.BeginRead or ErstAction.BeginClear or ErstAction.BeginDummyWrite
                or ErstAction.EndOperation:
                operation = action;
                break;
            case ErstAction.SetRecordOffset:
                recordOffset = value;
                break;
            case ErstAction.SetRecordIdentifier:
                recordId = value;
                break;
            case ErstAction.ExecuteOperation:
                status = Execute();
                break;
            case ErstAction.CheckBusyStatus:
                value = 0;
                break;
            case ErstAction.GetCommandStatus:
                value = (ulong)status;
                break;
            case ErstAction.GetRecordIdentifier:
                value = NextIdentifier();
                break;
            case ErstAction.GetRecordCount:
                value = (ulong)store.Records.Count;
                break;
            case ErstAction.GetErrorLogAddressRange:
                value = PhysicalLayout.ErstBuffer;
                break;
            case ErstAction.GetErrorLogAddressRangeLength:
                value = PhysicalLayout.ErstBufferSize;
                break;
            case ErstAction.GetErrorLogAddressRangeAttributes:
                // Neither non-volatile memory to be written in place, nor slow.
                value = 0;
                break;
            case ErstAction.GetExecuteOperationTimings:
                value = Timings;
                break;
        }
    }

    private ErstStatus Execute() => operation switch
    {
        ErstAction.BeginWrite => Write(),
        ErstAction.BeginRead => Read(),
        ErstAction.BeginClear => Clear(),
        ErstAction.BeginDummyWrite => ErstStatus.Success,
        _ => ErstStatus.Failed,
    };

    private ErstStatus Write()
    {
        if (recordOffset > (ulong)(buffer.Length - RecordHeaderSize))
        {
            return ErstStatus.Failed;
        }

        ReadOnlySpan<byte> record = buffer.AsSpan((int)recordOffset);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(record[20..]);
        ulong id = BinaryPrimitives.ReadUInt64LittleEndian(record[96..]);
        if (!record.StartsWith("CPER"u8) || length < RecordHeaderSize || length > (uint)record.Length
            || id is UnspecifiedRecord or InvalidRecord)
        {
            return ErstStatus.Failed;
        }

        if (!store.TryWrite(id, record[..(int)length]))
        {
            return ErstStatus.NotEnoughSpace;
        }

        signals.ErstRecordWritten();
        return ErstStatus.Success;
    }

    private ErstStatus Read()
    {
        int at = FindRecord(out ErstStatus failure);
        if (at < 0)
        {
            return failure;
        }

        byte[] contents = store.Records[at].Contents;
        if (recordOffset > (ulong)buffer.Length || contents.Length > buffer.Length - (int)recordOffset)
        {
            return ErstStatus.Failed;
        }

        contents.CopyTo(buffer.AsSpan((int)recordOffset));
        cursor = at + 1;
        return ErstStatus.Success;
    }

    private ErstStatus Clear()
    {
        int at = FindRecord(out ErstStatus failure);
        if (at < 0)
        {
            return failure;
        }

        store.TryClear(store.Records[at].Id);
        if (at < cursor)
        {
            cursor--;
        }

        return ErstStatus.Success;
    }

    private int FindRecord(out ErstStatus failure)
    {
        failure = store.Records.Count == 0 ? ErstStatus.RecordStoreEmpty : ErstStatus.RecordNotFound;
        return recordId == UnspecifiedRecord ? (store.Records.Count == 0 ? -1 : 0) : store.IndexOf(recordId);
    }

    /// <summary>The next record's identifier; after the last one the invalid one, and then from the first again.</summary>
    private ulong NextIdentifier()
    {
        if (cursor >= store.Records.Count)
        {
            cursor = 0;
            return InvalidRecord;
        }

        return store.Records[cursor++].Id;
    }

    private sealed class ErstBuffer(byte[] bytes) : IMmioDevice
    {
        public ulong ReadMmio(ulong offset, int size)
        {
            ulong result = 0;
            for (int i = 0; i < size && offset + (ulong)i < (ulong)bytes.Length; i++)
            {
                result |= (ulong)bytes[offset + (ulong)i] << (8 * i);
            }

            return result;
        }

        public void WriteMmio(ulong offset, int size, ulong written)
        {
            for (int i = 0; i < size && offset + (ulong)i < (ulong)bytes.Length; i++)
            {
                bytes[offset + (ulong)i] = (byte)(written >> (8 * i));
            }
        }
    }
}

/// <summary>Saved state of ERST, records included: a machine restored from it finds what it had.</summary>
public sealed record ErstState(
    byte Operation,
    byte Status,
    ulong Value,
    ulong RecordOffset,
    ulong RecordId,
    int Cursor,
    byte[] Buffer,
    ErstRecord[] Records);
