using System.Globalization;
using System.Text;
using Emulator;

namespace Debugging.Commands;

/// <summary>How machines are put in words.</summary>
internal static class MonitorText
{
    /// <summary>Why a machine stands still.</summary>
    public static string Cause(MachineExit? exit) => exit?.Kind switch
    {
        MachineExitKind.Reset => "a reset was asked for by " + exit.Value.Reset switch
        {
            ResetCause.KeyboardController => "the keyboard controller",
            ResetCause.Port92 => "port 92h",
            ResetCause.PortCf9 => "port CF9h",
            ResetCause.AcpiResetRegister => "the ACPI reset register",
            ResetCause.TripleFault => "a triple fault",
            _ => "a jump to the reset vector",
        },
        MachineExitKind.PowerOff => "power-off",
        MachineExitKind.Halted => "every vCPU is halted for good",
        MachineExitKind.ExitPort => "the guest ended the run through its exit port",
        MachineExitKind.Paused => "on request",
        MachineExitKind.Breakpoint => "a breakpoint",
        MachineExitKind.Watchpoint => "a watchpoint",
        MachineExitKind.Stepped => "a step",
        MachineExitKind.ReportWithoutReset => "a crash was reported and no reset followed",
        _ => "not known",
    };

    /// <summary>Mode and privilege of a vCPU.</summary>
    public static string Mode(in VcpuGlance vcpu)
    {
        const ulong virtual8086 = 1 << 17;
        bool protectedMode = (vcpu.Cr0 & 1) != 0;
        bool big = (vcpu.CsAttributes & 0x4000) != 0;
        string mode = !protectedMode ? "real mode"
            : (vcpu.Rflags & virtual8086) != 0 ? "virtual-8086 mode"
            : vcpu.Is64Bit ? "64-bit"
            : big ? "32-bit" : "16-bit";
        string ring = protectedMode ? string.Create(CultureInfo.InvariantCulture, $", ring {vcpu.Cpl}") : "";
        return mode + ring + (vcpu.Halted ? ", halted" : "");
    }

    /// <summary>How the next instruction is decoded: as 16-, 32- or 64-bit code.</summary>
    public static int CodeBits(in VcpuGlance vcpu)
    {
        const ulong virtual8086 = 1 << 17;
        bool flat = (vcpu.Cr0 & 1) != 0 && (vcpu.Rflags & virtual8086) == 0;
        return vcpu.Is64Bit ? 64 : flat && (vcpu.CsAttributes & 0x4000) != 0 ? 32 : 16;
    }

    /// <summary>True when <see cref="Mode"/> says the same of both.</summary>
    public static bool SameMode(in VcpuGlance one, in VcpuGlance other) =>
        ((one.Cr0 ^ other.Cr0) & 1) == 0 && ((one.Rflags ^ other.Rflags) & (1 << 17)) == 0 && one.Is64Bit == other.Is64Bit
        && ((one.CsAttributes ^ other.CsAttributes) & 0x4000) == 0 && one.Cpl == other.Cpl && one.Halted == other.Halted;

    /// <summary>A number as C writes it: 0x and hexadecimal digits, or decimal digits.</summary>
    public static bool TryNumber(string text, out ulong value) =>
        text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
            : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);

    /// <summary>An event in one line.</summary>
    public static string Event(in JournalEntry entry)
    {
        VcpuGlance registers = entry.Registers;
        string what = entry.Kind switch
        {
            JournalKind.Mode => $"mode {ModeWords(registers)}",
            JournalKind.Interrupt => entry.Vector == 2 ? "NMI" : $"interrupt {entry.Vector:x2}h",
            JournalKind.SoftwareInterrupt => $"INT {entry.Vector:x2}h",
            _ => $"{ExceptionName(entry.Vector)} error {entry.Error:x}" + (entry.Vector == 14 ? $" address 0x{registers.Cr2:x}" : ""),
        };
        return string.Create(
            CultureInfo.InvariantCulture,
            $"#{entry.Number} at {entry.InstructionCount} ns, vCPU {entry.Vcpu}: {what}, at {registers.Selectors[1]:x4}:{registers.Rip:x16}, {Mode(registers)}, cr3 {registers.Cr3:x}");
    }

    private static string ModeWords(in VcpuGlance registers)
    {
        bool paging = (registers.Cr0 & 0x8000_0000) != 0;
        string mode = (registers.Cr0 & 1) == 0 ? "real" : (registers.Efer & 0x400) != 0 ? "long" : "protected";
        string chosen = (registers.Efer & 0x100) != 0 && !paging ? ", long mode chosen" : "";
        return $"{mode}, paging {(paging ? "on" : "off")}{chosen}";
    }

    /// <summary>Mnemonics of SDM vol. 3A table 6-1.</summary>
    private static string ExceptionName(byte vector)
    {
        string[] names =
        [
            "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "coprocessor overrun", "#TS", "#NP", "#SS", "#GP", "#PF", "15",
            "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
        ];
        return vector < names.Length ? names[vector] : $"exception {vector:x2}h";
    }

    /// <summary>Sixteen bytes a line: address, digits, characters.</summary>
    public static string Dump(ulong address, ReadOnlySpan<byte> bytes)
    {
        const int width = 16;
        var text = new StringBuilder();
        for (int at = 0; at < bytes.Length; at += width)
        {
            ReadOnlySpan<byte> line = bytes[at..Math.Min(at + width, bytes.Length)];
            text.Append(CultureInfo.InvariantCulture, $"{address + (ulong)at:x16} ");
            for (int i = 0; i < width; i++)
            {
                text.Append(i < line.Length ? $" {line[i]:x2}" : "   ");
            }

            text.Append("  ");
            foreach (byte value in line)
            {
                text.Append(value is >= 0x20 and <= 0x7e ? (char)value : '.');
            }

            text.Append('\n');
        }

        return text.ToString();
    }
}
