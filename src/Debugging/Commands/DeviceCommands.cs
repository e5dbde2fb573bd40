using System.Globalization;
using System.Text;
using Emulator;
using Emulator.Devices;
using Emulator.Time;

namespace Debugging.Commands;

/// <summary>The devices as their saved state shows them: the same words for a live machine and for an archive.</summary>
internal static class DeviceCommands
{
    private delegate void Describe(StringBuilder text, MachineState state);

    // Order of the local vector table in the state: SDM vol. 3A figure 10-8.
    private static readonly string[] LvtNames = ["timer", "thermal", "counters", "lint0", "lint1", "error"];

    private static readonly (string Name, string Help, Describe Describe)[] Devices =
    [
        ("apic", "local APICs", Apics),
        ("ioapic", "I/O APIC", IoApic),
        ("pic", "the two 8259s", Pics),
        ("timers", "PIT, HPET, local APIC, RTC and ACPI timers and when each is due", Timers),
        ("uart", "COM1 and COM2", Uarts),
        ("rtc", "real-time clock", Rtc),
        ("acpi", "ACPI power management", Acpi),
        ("erst", "error records the guest has written", Erst),
    ];

    public static readonly MonitorCommand[] All =
    [
        new("devices", "[NAME]", $"devices: {string.Join(" ", Devices.Select(device => device.Name))}; all of them without a name", List),
    ];

    private static string List(MonitorContext context, string name)
    {
        (string Name, string Help, Describe Describe)[] chosen = [.. Devices.Where(device => name.Length == 0 || device.Name == name)];
        if (chosen.Length == 0)
        {
            return $"there is no device '{name}'; there are {string.Join(", ", Devices.Select(device => device.Name))}\n";
        }

        return context.Inspect(view =>
        {
            if (view.WholeState is not { } state)
            {
                return "this image has memory and registers, and no state of devices\n";
            }

            var text = new StringBuilder();
            foreach ((string device, string help, Describe describe) in chosen)
            {
                text.Append(CultureInfo.InvariantCulture, $"{device}: {help}\n");
                describe(text, state);
            }

            return text.ToString();
        });
    }

    private static void Apics(StringBuilder text, MachineState state)
    {
        for (int i = 0; i < state.Devices.LocalApics.Length; i++)
        {
            LocalApicState apic = state.Devices.LocalApics[i];
            const ulong enabled = 0x800, x2Apic = 0x400;
            string mode = (apic.ApicBase & enabled) == 0 ? "disabled" : (apic.ApicBase & x2Apic) != 0 ? "x2APIC" : "xAPIC";
            Line(text, $"vCPU {i}: base 0x{apic.ApicBase & ~0xFFFUL:x} {mode}, {((apic.Spurious & 0x100) != 0 ? "on" : "off by software")}, spurious vector {apic.Spurious & 0xFF:x2}h, TPR {apic.TaskPriority:x2}h");
            Line(text, $"  destination {apic.LogicalDestination:x8} format {apic.DestinationFormat:x8}, command {apic.CommandHigh:x8}:{apic.CommandLow:x8}, errors {apic.ErrorStatus:x2}h");
            Line(text, $"  requests: {Vectors(apic.Requests)}; in service: {Vectors(apic.InService)}; LINT0 {(apic.Lint0 ? "high" : "low")}");
            for (int entry = 0; entry < apic.Lvt.Length; entry++)
            {
                string name = entry < LvtNames.Length ? LvtNames[entry] : $"entry {entry}";
                Line(text, $"  {name,-8} {apic.Lvt[entry]:x8} {LvtWords(entry, apic.Lvt[entry])}");
            }
        }
    }

    private static string LvtWords(int entry, uint value)
    {
        string masked = (value & 0x10000) != 0 ? ", masked" : "";
        string delivery = (value >> 8 & 7) switch { 0 => $"vector {value & 0xFF:x2}h", 2 => "SMI", 4 => "NMI", 5 => "INIT", 7 => "ExtINT", _ => "reserved delivery" };
        string timer = entry != 0 ? "" : (value >> 17 & 3) switch { 0 => ", one-shot", 1 => ", periodic", 2 => ", TSC deadline", _ => ", reserved mode" };
        return delivery + timer + masked;
    }

    private static string Vectors(uint[] bits)
    {
        string[] set = [.. Enumerable.Range(0, bits.Length * 32).Where(vector => (bits[vector / 32] >> (vector % 32) & 1) != 0).Select(vector => $"{vector:x2}h")];
        return set.Length == 0 ? "none" : string.Join(' ', set);
    }

    private static void IoApic(StringBuilder text, MachineState state)
    {
        IoApicState apic = state.Devices.IoApic;
        Line(text, $"id {apic.Id >> 24 & 15:x}, register {apic.Select:x2}h selected");
        for (int pin = 0; pin < apic.Entries.Length; pin++)
        {
            ulong entry = apic.Entries[pin];
            string delivery = (entry >> 8 & 7) switch { 0 => "fixed", 1 => "lowest priority", 2 => "SMI", 4 => "NMI", 5 => "INIT", 7 => "ExtINT", _ => "reserved" };
            string words = string.Join(
                ", ", delivery, (entry & 0x8000) != 0 ? "level" : "edge", (entry & 0x2000) != 0 ? "active low" : "active high",
                (entry & 0x800) != 0 ? $"logical {entry >> 56:x2}h" : $"to {entry >> 56:x}");
            string state1 = ((entry & 0x10000) != 0 ? ", masked" : "") + ((entry & 0x4000) != 0 ? ", waits for EOI" : "") + ((entry & 0x1000) != 0 ? ", pending" : "");
            Line(text, $"pin {pin,2} {((apic.Levels >> pin & 1) != 0 ? "high" : "low "),-4} {entry:x16} vector {entry & 0xFF:x2}h {words}{state1}");
        }
    }

    private static void Pics(StringBuilder text, MachineState state)
    {
        foreach ((string name, PicChipState chip) in new[] { ("master", state.Devices.Pic.Master), ("slave", state.Devices.Pic.Slave) })
        {
            Line(text, $"{name,-6} vectors {chip.VectorBase:x2}h…, IRR {chip.Requests:x2}h ISR {chip.InService:x2}h IMR {chip.Mask:x2}h lines {chip.Lines:x2}h level-triggered {chip.EdgeLevel:x2}h{(chip.AutoEoi ? ", automatic EOI" : "")}");
        }

        Line(text, $"output {(state.Devices.Pic.Output ? "high" : "low")}");
    }

    private static void Timers(StringBuilder text, MachineState state)
    {
        ulong now = state.InstructionCount;
        Line(text, $"now {now} ns");
        for (int i = 0; i < state.Devices.LocalApics.Length; i++)
        {
            LocalApicState apic = state.Devices.LocalApics[i];
            Line(text, $"local APIC {i}: {LvtWords(0, apic.Lvt[0])}, initial count {apic.InitialCount}, divide {apic.DivideConfiguration:x}h, TSC deadline {apic.TscDeadline}; due {Due(apic.Deadline, now)}");
        }

        PitState pit = state.Devices.Pit;
        for (int i = 0; i < pit.Counters.Length; i++)
        {
            PitCounterState counter = pit.Counters[i];
            Line(text, $"PIT counter {i}: mode {counter.Mode}, count {counter.Count}, {(counter.Started ? "counts" : "stands")}, gate {(counter.Gate ? "high" : "low")}");
        }

        Line(text, $"PIT: output {(pit.Irq ? "high" : "low")}; due {Due(pit.Deadline, now)}");
        HpetState hpet = state.Devices.Hpet;
        Line(text, $"HPET: configuration {hpet.Configuration:x}h, status {hpet.Status:x}h");
        for (int i = 0; i < hpet.Timers.Length; i++)
        {
            HpetTimerState timer = hpet.Timers[i];
            Line(text, $"HPET timer {i}: configuration {timer.Configuration:x}h, comparator {timer.Comparator:x}h, period {timer.Period}; due {Due(timer.Deadline, now)}");
        }

        Line(text, $"RTC: due {Due(state.Devices.Rtc.Deadline, now)}");
        Line(text, $"ACPI timer: due {Due(state.Devices.PowerManagement.Deadline, now)}");
    }

    private static string Due(ulong deadline, ulong now) =>
        deadline == EventQueue.Never ? "never" : deadline <= now ? "now" : $"in {deadline - now} ns";

    private static void Uarts(StringBuilder text, MachineState state)
    {
        foreach ((string name, UartState uart) in new[] { ("COM1", state.Devices.Com1), ("COM2", state.Devices.Com2) })
        {
            Line(text, $"{name}: IER {uart.InterruptEnable:x2}h LCR {uart.LineControl:x2}h MCR {uart.ModemControl:x2}h MSR {uart.ModemStatus:x2}h FCR {uart.FifoControl:x2}h divisor {uart.DivisorLow | (uart.DivisorHigh << 8)}");
            Line(text, $"  received {uart.ReceiverFifo.Length} bytes, {uart.QueuedInput.Length} more wait; interrupt {(uart.Irq ? "high" : "low")}");
        }
    }

    private static void Rtc(StringBuilder text, MachineState state)
    {
        CmosRtcState rtc = state.Devices.Rtc;
        byte[] memory = rtc.Memory;
        Line(text, $"time {memory[0x32]:x2}{memory[9]:x2}-{memory[8]:x2}-{memory[7]:x2} {memory[4]:x2}:{memory[2]:x2}:{memory[0]:x2} as last shown, register {rtc.Index:x2}h selected");
        Line(text, $"A {memory[0xA]:x2}h B {memory[0xB]:x2}h C {memory[0xC]:x2}h D {memory[0xD]:x2}h, NMIs {(rtc.NmiMasked ? "masked" : "open")}, interrupt {(rtc.Irq ? "high" : "low")}");
    }

    private static void Acpi(StringBuilder text, MachineState state)
    {
        AcpiPowerManagementState pm = state.Devices.PowerManagement;
        Line(text, $"PM1 status {pm.Status:x4}h enable {pm.Enable:x4}h control {pm.Control:x4}h, SCI {(pm.Sci ? "high" : "low")}");
        Line(text, $"last POST code {state.Devices.PostPort.Code:x2}h");
    }

    private static void Erst(StringBuilder text, MachineState state)
    {
        ErstState erst = state.Devices.Erst;
        Line(text, $"{erst.Records.Length} records, operation {erst.Operation:x}h, status {erst.Status:x}h");
        foreach (ErstRecord record in erst.Records)
        {
            Line(text, $"record {record.Id:x16}: {record.Contents.Length} bytes");
        }
    }

    private static void Line(StringBuilder text, FormattableString line) =>
        text.Append("  ").Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
