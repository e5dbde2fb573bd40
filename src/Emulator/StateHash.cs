using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Emulator.Memory;

namespace Emulator;

/// <summary>
/// One number for everything a machine is: RAM, vCPUs, devices. Equal machines have equal hashes whatever their history
/// on the host (snapshots taken, debuggers attached), so determinism can be tested by comparing two of them.
/// </summary>
public static class StateHash
{
    /// <summary>XXH128 over the canonical JSON of the state and every page that is not all zeros, with its address.</summary>
    public static string Of(Machine machine)
    {
        var hash = new XxHash128();
        hash.Append(JsonSerializer.SerializeToUtf8Bytes(machine.Save(), StateJson.Default.MachineState));
        byte[] page = new byte[GuestMemory.PageSize];
        foreach (PhysicalRange range in machine.Ram)
        {
            for (ulong address = range.Start; address < range.Start + range.Length; address += GuestMemory.PageSize)
            {
                if (machine.IsUntouched(address))
                {
                    continue;
                }

                machine.ReadPhysical(address, page);
                if (page.AsSpan().ContainsAnyExcept((byte)0))
                {
                    hash.Append(MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in address)));
                    hash.Append(page);
                }
            }
        }

        return Convert.ToHexStringLower(hash.GetCurrentHash());
    }
}

[JsonSerializable(typeof(MachineState))]
internal sealed partial class StateJson : JsonSerializerContext;
