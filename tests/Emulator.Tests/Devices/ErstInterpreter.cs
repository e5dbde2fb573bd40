using System.Buffers.Binary;
using Emulator.Boot;

namespace Emulator.Tests.Devices;

/// <summary>
/// Runs the instructions of the ERST table against a chipset, knowing nothing of the device: what an operating system
/// does (ACPI 6.4 §18.5.1.2). Only the instructions tables of today use.
/// </summary>
internal sealed class ErstInterpreter(TestChipset machine)
{
    private readonly byte[] table = AcpiTables.Build(new AcpiOptions { ProcessorCount = 1 }).Table("ERST").ToArray();

    /// <summary>Runs all entries of an action with a value going in; gives the one that comes out.</summary>
    public ulong Run(int action, ulong value = 0)
    {
        bool any = false;
        uint count = BinaryPrimitives.ReadUInt32LittleEndian(table.AsSpan(44));
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> entry = table.AsSpan(48 + (32 * i), 32);
            if (entry[0] != action)
            {
                continue;
            }

            any = true;
            Assert.Equal(0, entry[4]);
            Assert.Equal(0, entry[6]);
            int size = entry[5] / 8;
            Assert.Equal(size, 1 << (entry[7] - 1));
            ulong address = BinaryPrimitives.ReadUInt64LittleEndian(entry[8..]);
            ulong constant = BinaryPrimitives.ReadUInt64LittleEndian(entry[16..]);
            ulong mask = BinaryPrimitives.ReadUInt64LittleEndian(entry[24..]);
            switch (entry[1])
            {
                case 0:
                    value = machine.ReadMemory(address, size) & mask;
                    break;
                case 1:
                    value = (machine.ReadMemory(address, size) & mask) == constant ? 1UL : 0;
                    break;
                case 2:
                    machine.WriteMemory(address, size, value & mask);
                    break;
                case 3:
                    machine.WriteMemory(address, size, constant & mask);
                    break;
                default:
                    Assert.Fail($"instruction {entry[1]:x}h");
                    break;
            }
        }

        Assert.True(any, $"action {action:x}h has no instructions");
        return value;
    }

    /// <summary>drivers/acpi/apei/erst.c, __erst_write_to_storage(): the status.</summary>
    public ulong Write(ReadOnlySpan<byte> record, ulong offset = 0)
    {
        ulong range = Run(0xD);
        for (int i = 0; i < record.Length; i++)
        {
            machine.WriteMemory(range + offset + (ulong)i, 1, record[i]);
        }

        Run(0x0);
        Run(0x4, offset);
        return Finish();
    }

    /// <summary>__erst_read_from_storage(): the status and the record.</summary>
    public (ulong Status, byte[] Record) Read(ulong id, ulong offset = 0)
    {
        Run(0x1);
        Run(0x4, offset);
        Run(0x9, id);
        ulong status = Finish();
        if (status != 0)
        {
            return (status, []);
        }

        ulong range = Run(0xD);
        byte[] record = new byte[machine.ReadMemory(range + offset + 20, 4)];
        for (int i = 0; i < record.Length; i++)
        {
            record[i] = (byte)machine.ReadMemory(range + offset + (ulong)i, 1);
        }

        return (0, record);
    }

    /// <summary>__erst_clear_from_storage(): the status.</summary>
    public ulong Clear(ulong id)
    {
        Run(0x2);
        Run(0x9, id);
        return Finish();
    }

    /// <summary>__erst_get_next_record_id() until there is none.</summary>
    public List<ulong> Ids()
    {
        var ids = new List<ulong>();
        for (ulong id = Run(0x8); id != ulong.MaxValue; id = Run(0x8))
        {
            ids.Add(id);
            Assert.True(ids.Count <= 10_000);
        }

        return ids;
    }

    private ulong Finish()
    {
        Run(0x5);
        Assert.Equal(0UL, Run(0x6));
        ulong status = Run(0x7);
        Run(0x3);
        return status;
    }
}
