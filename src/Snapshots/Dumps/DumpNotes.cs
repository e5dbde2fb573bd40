using System.Buffers.Binary;
using System.Text;
using Emulator;
using Snapshots.Kdump;

namespace Snapshots.Dumps;

/// <summary>
/// What the ELF notes of a dump say: the CPUs' registers, as NT_PRSTATUS has them and, more of them, as QEMU's own notes
/// do, and VMCOREINFO. Notes of other owners are passed over.
/// </summary>
internal sealed class DumpNotes
{
    private const int HeaderSize = 12;

    // Longer than any owner's name seen; what is longer is passed over like any other note.
    private const int LongestName = 64;

    private readonly List<VcpuState> general = [];
    private readonly List<int> processes = [];
    private readonly List<VcpuState> whole = [];

    /// <summary>VMCOREINFO's text, one Latin-1 character a byte, or null.</summary>
    public string? Vmcoreinfo { get; set; }

    /// <summary>The last note is the one that ends the notes of an archive of ours.</summary>
    public bool AreOurs { get; private set; }

    /// <summary>The CPUs: out of the QEMU notes where there are any, else out of NT_PRSTATUS. Empty when there are no registers.</summary>
    public IReadOnlyList<VcpuState> Vcpus => whole.Count > 0 ? whole : general;

    /// <summary>The registers include the control registers.</summary>
    public bool HaveControlRegisters => whole.Count > 0;

    /// <summary>The process each CPU was running, as NT_PRSTATUS says.</summary>
    public IReadOnlyList<int> Processes => processes;

    /// <summary>Reads the notes of an area of the file.</summary>
    public void Read(ArchiveFile file, long offset, long size)
    {
        if (size > ArchiveLimits.NotesBytes)
        {
            throw file.Bad(offset, "notes", $"{size} bytes; {ArchiveLimits.NotesBytes} are allowed");
        }

        if (offset < 0 || size < 0 || offset > file.Length || size > file.Length - offset)
        {
            throw file.Bad(Math.Clamp(offset, 0, file.Length), "notes", $"0x{offset:x} and {size} bytes on is not within the file, which has 0x{file.Length:x}");
        }

        byte[] area = new byte[size];
        file.Read(offset, area, "notes");
        int count = 0;
        for (int at = 0; at + HeaderSize <= area.Length;)
        {
            if (++count > ArchiveLimits.Notes)
            {
                throw file.Bad(offset + at, "note", $"more than {ArchiveLimits.Notes} notes");
            }

            uint nameSize = BinaryPrimitives.ReadUInt32LittleEndian(area.AsSpan(at));
            uint descriptorSize = BinaryPrimitives.ReadUInt32LittleEndian(area.AsSpan(at + 4));
            int type = BinaryPrimitives.ReadInt32LittleEndian(area.AsSpan(at + 8));
            if (nameSize == 0 && descriptorSize == 0)
            {
                break; // the kernel ends its notes so
            }

            long descriptor = at + HeaderSize + Padded(nameSize);
            if (nameSize > (uint)area.Length || descriptorSize > (uint)area.Length || descriptor + descriptorSize > area.Length)
            {
                throw file.Bad(offset + at, "note", $"its name of {nameSize} bytes and its descriptor of {descriptorSize} go beyond the notes, which have {area.Length - at} bytes from here on");
            }

            string name = Encoding.Latin1.GetString(area, at + HeaderSize, (int)Math.Min(nameSize, LongestName)).TrimEnd('\0');
            Take(file, offset + descriptor, name, type, area.AsSpan((int)descriptor, (int)descriptorSize));
            at = (int)Math.Min(area.Length, descriptor + Padded(descriptorSize));
        }
    }

    /// <summary>A CPU with its control registers, of a format that has no notes.</summary>
    public void Add(ArchiveFile file, VcpuState cpu)
    {
        if (VcpuStateCheck.Problem(cpu) is { } problem)
        {
            throw file.Bad(0, "registers", $"CPU {whole.Count}: {problem}");
        }

        whole.Add(cpu);
    }

    private void Take(ArchiveFile file, long offset, string name, int type, ReadOnlySpan<byte> descriptor)
    {
        AreOurs = name == OwnNotes.Owner && type == OwnNotes.Layout;
        switch (name)
        {
            case "CORE" when type == ElfNote.PrStatus:
                CheckCpus(file, offset, general.Count);
                if (descriptor.Length != PrStatus.Size)
                {
                    throw file.Bad(offset, "NT_PRSTATUS", $"{descriptor.Length} bytes; x86-64 has {PrStatus.Size}");
                }

                general.Add(PrStatus.Read(descriptor, out int process));
                processes.Add(process);
                break;

            case "QEMU" when type == 0:
                CheckCpus(file, offset, whole.Count);
                if (descriptor.Length < QemuNote.SmallestSize)
                {
                    throw file.Bad(offset, "QEMU note", $"{descriptor.Length} bytes; it has at least {QemuNote.SmallestSize}");
                }

                VcpuState cpu = QemuNote.Read(descriptor);
                if (VcpuStateCheck.Problem(cpu) is { } problem)
                {
                    throw file.Bad(offset, "QEMU note", $"CPU {whole.Count}: {problem}");
                }

                whole.Add(cpu);
                break;

            case "VMCOREINFO" when type == 0:
                if (descriptor.Length > ArchiveLimits.VmcoreinfoBytes)
                {
                    throw file.Bad(offset, "VMCOREINFO", $"{descriptor.Length} bytes; {ArchiveLimits.VmcoreinfoBytes} are allowed");
                }

                Vmcoreinfo = Encoding.Latin1.GetString(descriptor).TrimEnd('\0');
                break;
        }
    }

    private static void CheckCpus(ArchiveFile file, long offset, int known)
    {
        if (known == ArchiveLimits.Vcpus)
        {
            throw file.Bad(offset, "notes", $"more than {ArchiveLimits.Vcpus} CPUs");
        }
    }

    private static long Padded(uint size) => ((long)size + 3) & ~3L;
}
