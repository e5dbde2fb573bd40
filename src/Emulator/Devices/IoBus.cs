namespace Emulator.Devices;

/// <summary>
/// The two address spaces devices live in. Nothing there reads as all ones and swallows writes, as on a PC.
/// A port access wider than what is left of a device's range is split into bytes by the bus.
/// </summary>
public sealed class IoBus
{
    private readonly List<(ushort First, int Count, IPortDevice Device)> ports = [];
    private readonly List<(ulong First, ulong Size, IMmioDevice Device)> windows = [];

    /// <summary>Maps <paramref name="count"/> ports from <paramref name="first"/>; overlapping ranges are a bug of ours and throw.</summary>
    public void MapPorts(ushort first, int count, IPortDevice device)
    {
        foreach (var port in ports)
        {
            if (first < port.First + port.Count && port.First < first + count)
            {
                throw new ArgumentException($"ports {first:x}h+{count} overlap {port.First:x}h+{port.Count}");
            }
        }

        ports.Add((first, count, device));
    }

    /// <summary>Maps a window of the physical address space; a multiple of 4 KiB, above or beside RAM.</summary>
    public void MapMmio(ulong first, ulong size, IMmioDevice device)
    {
        foreach (var window in windows)
        {
            if (first < window.First + window.Size && window.First < first + size)
            {
                throw new ArgumentException($"window {first:x}h+{size:x}h overlaps {window.First:x}h+{window.Size:x}h");
            }
        }

        windows.Add((first, size, device));
    }

    /// <summary>IN.</summary>
    public uint ReadPort(ushort port, int size)
    {
        foreach (var range in ports)
        {
            int offset = port - range.First;
            if ((uint)offset < (uint)range.Count)
            {
                return offset + size <= range.Count ? range.Device.ReadPort((ushort)offset, size) : ReadPortBytes(port, size);
            }
        }

        return size == 1 ? 0xFF : ReadPortBytes(port, size);
    }

    /// <summary>OUT.</summary>
    public void WritePort(ushort port, int size, uint value)
    {
        foreach (var range in ports)
        {
            int offset = port - range.First;
            if ((uint)offset < (uint)range.Count)
            {
                if (offset + size <= range.Count)
                {
                    range.Device.WritePort((ushort)offset, size, value);
                    return;
                }

                break;
            }
        }

        for (int i = 0; size > 1 && i < size; i++)
        {
            WritePort((ushort)(port + i), 1, (value >> (8 * i)) & 0xFF);
        }
    }

    /// <summary>The window that holds <paramref name="address"/>, and the offset in it.</summary>
    public bool TryFindMmio(ulong address, out IMmioDevice device, out ulong offset)
    {
        foreach (var window in windows)
        {
            if (address - window.First < window.Size)
            {
                device = window.Device;
                offset = address - window.First;
                return true;
            }
        }

        device = null!;
        offset = 0;
        return false;
    }

    private uint ReadPortBytes(ushort port, int size)
    {
        uint value = 0;
        for (int i = 0; i < size; i++)
        {
            value |= ReadPort((ushort)(port + i), 1) << (8 * i);
        }

        return value;
    }
}
