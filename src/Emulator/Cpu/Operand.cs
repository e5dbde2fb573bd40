using System.Runtime.CompilerServices;

namespace Emulator.Cpu;

/// <summary>
/// Memory operands: effective addresses, and loads and stores by linear address through the software TLB. A hit is
/// inline; everything else (miss, page crossing, MMIO, watch, copy-on-write, code page) is the vCPU's slow path.
/// </summary>
internal static unsafe class Operand
{
    private const int TlbMask = SoftTlb.Entries - 1;

    /// <summary>Offset of the memory operand in its segment.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong Offset(CpuState* s, Op* op)
    {
        byte* registers = (byte*)s;
        ulong address = *(ulong*)(registers + op->Base) + (*(ulong*)(registers + op->Index) << op->Scale) + (ulong)op->Disp;
        return address << op->AddressShift >> op->AddressShift;
    }

    /// <summary>Linear address of the memory operand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong Linear(CpuState* s, Op* op) =>
        (Offset(s, op) + *(ulong*)((byte*)s + op->SegmentBase)) << op->LinearShift >> op->LinearShift;

    /// <summary>Loads <paramref name="value"/>; false: a fault was raised.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool TryLoad<T>(CpuState* s, Op* op, ulong linear, out ulong value) where T : unmanaged
    {
        Memory.TlbEntry* entry = s->ReadTlb + ((linear >> 12) & TlbMask);
        ulong offset = linear ^ entry->Tag;
        if (offset <= 4096 - (ulong)sizeof(T))
        {
            byte* host = entry->Host + offset;
            value = sizeof(T) switch { 1 => *host, 2 => *(ushort*)host, 4 => *(uint*)host, _ => *(ulong*)host };
            return true;
        }

        return Vcpu.Of(s).LoadSlow(op, linear, sizeof(T), out value);
    }

    /// <summary>Stores; false: a fault was raised and nothing was written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool TryStore<T>(CpuState* s, Op* op, ulong linear, ulong value) where T : unmanaged
    {
        Memory.TlbEntry* entry = s->WriteTlb + ((linear >> 12) & TlbMask);
        ulong offset = linear ^ entry->Tag;
        if (offset <= 4096 - (ulong)sizeof(T))
        {
            byte* host = entry->Host + offset;
            if (sizeof(T) == 1)
            {
                *host = (byte)value;
            }
            else if (sizeof(T) == 2)
            {
                *(ushort*)host = (ushort)value;
            }
            else if (sizeof(T) == 4)
            {
                *(uint*)host = (uint)value;
            }
            else
            {
                *(ulong*)host = value;
            }

            return true;
        }

        return Vcpu.Of(s).StoreSlow(op, linear, sizeof(T), value);
    }

    /// <summary>Loads what the same instruction will store: faults as a write does, so that the store cannot fault any more.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool TryLoadForStore<T>(CpuState* s, Op* op, ulong linear, out ulong value) where T : unmanaged
    {
        Memory.TlbEntry* entry = s->WriteTlb + ((linear >> 12) & TlbMask);
        ulong offset = linear ^ entry->Tag;
        if (offset <= 4096 - (ulong)sizeof(T))
        {
            byte* host = entry->Host + offset;
            value = sizeof(T) switch { 1 => *host, 2 => *(ushort*)host, 4 => *(uint*)host, _ => *(ulong*)host };
            return true;
        }

        return Vcpu.Of(s).LoadForStoreSlow(op, linear, sizeof(T), out value);
    }

    internal static bool TryLoad(CpuState* s, Op* op, ulong linear, int size, out ulong value) => size switch
    {
        1 => TryLoad<byte>(s, op, linear, out value),
        2 => TryLoad<ushort>(s, op, linear, out value),
        4 => TryLoad<uint>(s, op, linear, out value),
        _ => TryLoad<ulong>(s, op, linear, out value),
    };

    internal static bool TryStore(CpuState* s, Op* op, ulong linear, int size, ulong value) => size switch
    {
        1 => TryStore<byte>(s, op, linear, value),
        2 => TryStore<ushort>(s, op, linear, value),
        4 => TryStore<uint>(s, op, linear, value),
        _ => TryStore<ulong>(s, op, linear, value),
    };

    internal static bool TryLoadForStore(CpuState* s, Op* op, ulong linear, int size, out ulong value) => size switch
    {
        1 => TryLoadForStore<byte>(s, op, linear, out value),
        2 => TryLoadForStore<ushort>(s, op, linear, out value),
        4 => TryLoadForStore<uint>(s, op, linear, out value),
        _ => TryLoadForStore<ulong>(s, op, linear, out value),
    };

    /// <summary>Copies the memory operand (any size up to 512 bytes) to <see cref="CpuState.Scratch"/>.</summary>
    internal static bool TryLoadBytes(CpuState* s, Op* op, ulong linear, byte* destination, int size)
    {
        Memory.TlbEntry* entry = s->ReadTlb + ((linear >> 12) & TlbMask);
        ulong offset = linear ^ entry->Tag;
        if (offset <= 4096 - (ulong)size)
        {
            Unsafe.CopyBlockUnaligned(destination, entry->Host + offset, (uint)size);
            return true;
        }

        return Vcpu.Of(s).LoadBytesSlow(op, linear, destination, size, forStore: false);
    }

    /// <summary>Writes a memory operand of any size up to 512 bytes: all of it or, with a fault, nothing.</summary>
    internal static bool TryStoreBytes(CpuState* s, Op* op, ulong linear, byte* source, int size)
    {
        Memory.TlbEntry* entry = s->WriteTlb + ((linear >> 12) & TlbMask);
        ulong offset = linear ^ entry->Tag;
        if (offset <= 4096 - (ulong)size)
        {
            Unsafe.CopyBlockUnaligned(entry->Host + offset, source, (uint)size);
            return true;
        }

        return Vcpu.Of(s).StoreBytesSlow(op, linear, source, size);
    }
}
