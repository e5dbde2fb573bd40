using Emulator.Devices;

namespace Emulator.Tests.Devices;

public sealed class LocalApicTests
{
    private const int Id = 0x20, Version = 0x30, Tpr = 0x80, Ppr = 0xA0, Eoi = 0xB0, Ldr = 0xD0, Dfr = 0xE0, Svr = 0xF0, Isr = 0x100, Tmr = 0x180, Irr = 0x200,
        Esr = 0x280, IcrLow = 0x300, IcrHigh = 0x310, LvtTimer = 0x320, LvtThermal = 0x330, LvtLint0 = 0x350, LvtLint1 = 0x360, LvtError = 0x370, InitialCount = 0x380, CurrentCount = 0x390, Divide = 0x3E0;

    private const uint Msr = 0x800;

    [Fact]
    public void Registers_of_an_application_processor_after_reset_are_the_manual_s()
    {
        var t = new TestChipset(2);
        LocalApic apic = t.Chipset.LocalApics[1];
        (int Register, uint Value)[] expected =
        [
            (Id, 0x0100_0000), (Version, 0x0005_0014), (Tpr, 0), (Ppr, 0), (Ldr, 0), (Dfr, 0xFFFF_FFFF), (Svr, 0xFF),
            (Esr, 0), (IcrLow, 0), (IcrHigh, 0), (LvtTimer, 0x1_0000), (LvtThermal, 0x1_0000), (0x340, 0x1_0000),
            (LvtLint0, 0x1_0000), (LvtLint1, 0x1_0000), (LvtError, 0x1_0000), (InitialCount, 0), (CurrentCount, 0), (Divide, 0),
        ];
        foreach ((int register, uint value) in expected)
        {
            Assert.Equal((register, value), (register, (uint)apic.ReadMmio((ulong)register, 4)));
        }

        Assert.True(apic.TryReadMsr(0x1B, out ulong apicBase));
        Assert.Equal(0xFEE0_0800UL, apicBase);
        Assert.True(t.Apic.TryReadMsr(0x1B, out apicBase));
        Assert.Equal(0xFEE0_0900UL, apicBase);
    }

    [Fact]
    public void Firmware_leaves_the_bootstrap_processor_in_virtual_wire_mode()
    {
        var t = new TestChipset();
        Assert.Equal((0x1FFU, 0x700U, 0x400U), (t.ReadApic(Svr), t.ReadApic(LvtLint0), t.ReadApic(LvtLint1)));
        t.Chipset.Pic.SetLine(1, true);
        Assert.True(t.Apic.HasInterrupt);
        Assert.Equal(9, t.Apic.Acknowledge());
        Assert.Equal(0U, t.ReadApic(Isr));
    }

    [Fact]
    public void Higher_vectors_go_first_and_the_class_in_service_holds_back_its_equals()
    {
        TestChipset t = Enabled();
        SelfIpi(t, 0x41);
        SelfIpi(t, 0x52);
        SelfIpi(t, 0x48);
        Assert.Equal(0x52, t.Apic.Acknowledge());
        Assert.Equal(0x50U, t.ReadApic(Ppr));
        Assert.False(t.Apic.HasInterrupt);
        SelfIpi(t, 0x5F);
        Assert.False(t.Apic.HasInterrupt);
        SelfIpi(t, 0x60);
        Assert.Equal(0x60, t.Apic.Acknowledge());
        t.WriteApic(Eoi, 0);
        t.WriteApic(Eoi, 0);
        int[] rest = new int[3];
        for (int i = 0; i < 3; i++)
        {
            Assert.True(t.Apic.HasInterrupt);
            rest[i] = t.Apic.Acknowledge();
            t.WriteApic(Eoi, 0);
        }

        Assert.Equal([0x5F, 0x48, 0x41], rest);
        Assert.False(t.Apic.HasInterrupt);
    }

    [Fact]
    public void Request_and_service_bits_stand_where_the_manual_puts_them()
    {
        TestChipset t = Enabled();
        SelfIpi(t, 0xEF);
        Assert.Equal(0x8000U, t.ReadApic(Irr + 0x70));
        t.Apic.Acknowledge();
        Assert.Equal((0U, 0x8000U, 0U), (t.ReadApic(Irr + 0x70), t.ReadApic(Isr + 0x70), t.ReadApic(Tmr + 0x70)));
    }

    [Theory]
    [InlineData(0x30, 0x41, true)]
    [InlineData(0x40, 0x41, false)]
    [InlineData(0x4F, 0x50, true)]
    [InlineData(0xF0, 0xFF, false)]
    public void Task_priority_holds_back_its_class_and_below(byte priority, uint vector, bool delivered)
    {
        TestChipset t = Enabled();
        t.Apic.TaskPriority = priority;
        SelfIpi(t, vector);
        Assert.Equal(delivered, t.Apic.HasInterrupt);
        t.Vcpus[0].Changes = 0;
        t.WriteApic(Tpr, 0);
        Assert.True(t.Apic.HasInterrupt);
        Assert.Equal(1, t.Vcpus[0].Changes);
    }

    [Theory]
    [InlineData(0x45, 0x30, 0x45)] // task priority above what is served
    [InlineData(0x32, 0x35, 0x32)] // same class: the task's
    [InlineData(0x25, 0x35, 0x30)] // class of what is served
    public void Processor_priority_is_the_higher_of_task_and_service(byte task, uint serving, uint priority)
    {
        TestChipset t = Enabled();
        SelfIpi(t, serving);
        t.Apic.Acknowledge();
        t.Apic.TaskPriority = task;
        Assert.Equal(priority, t.ReadApic(Ppr));
    }

    [Fact]
    public void Acknowledging_nothing_gives_the_spurious_vector_and_marks_nothing()
    {
        TestChipset t = Enabled();
        t.WriteApic(Svr, 0x1EF);
        Assert.Equal(0xEF, t.Apic.Acknowledge());
        Assert.Equal(0U, t.ReadApic(Isr + 0x70));
    }

    [Fact]
    public void Software_disable_masks_the_table_and_refuses_requests_and_keeps_those_it_has()
    {
        TestChipset t = Enabled();
        SelfIpi(t, 0x41);
        t.WriteApic(Svr, 0xFF);
        Assert.Equal(0x1_0700U, t.ReadApic(LvtLint0));
        t.WriteApic(LvtTimer, 0x31);
        Assert.Equal(0x1_0031U, t.ReadApic(LvtTimer));
        SelfIpi(t, 0x42);
        Assert.True(t.Apic.HasInterrupt);
        Assert.Equal(0x41, t.Apic.Acknowledge());
        t.WriteApic(Eoi, 0);
        Assert.False(t.Apic.HasInterrupt);
    }

    // Bits that can be set, with everything written: vector, delivery mode, polarity, trigger, mask, timer mode.
    [Theory]
    [InlineData(LvtTimer, 0x0007_00FFU)]
    [InlineData(LvtThermal, 0x0001_07FFU)]
    [InlineData(LvtLint0, 0x0001_A7FFU)]
    [InlineData(LvtError, 0x0001_00FFU)]
    [InlineData(Svr, 0x0000_03FFU)]
    [InlineData(Divide, 0x0000_000BU)]
    [InlineData(Ldr, 0xFF00_0000U)]
    [InlineData(IcrHigh, 0xFF00_0000U)]
    [InlineData(Version, 0x0005_0014U)]
    [InlineData(Id, 0x0000_0000U)]
    public void Reserved_and_read_only_bits_stay(int register, uint value)
    {
        TestChipset t = Enabled();
        t.WriteApic(register, 0xFFFF_FFFF);
        Assert.Equal(value, t.ReadApic(register));
    }

    [Fact]
    public void Destination_format_has_four_bits_of_model()
    {
        TestChipset t = Enabled();
        t.WriteApic(Dfr, 0);
        Assert.Equal(0x0FFF_FFFFU, t.ReadApic(Dfr));
    }

    [Fact]
    public void Errors_gather_and_show_after_a_write()
    {
        TestChipset t = Enabled();
        t.WriteApic(LvtError, 0xFE);
        t.WriteApic(IcrLow, 0x4_0005);       // send illegal vector
        t.ReadApic(0x3D0);                   // illegal register
        Assert.Equal(0U, t.ReadApic(Esr));
        Assert.Equal(0xFE, t.Apic.Acknowledge());
        t.WriteApic(Esr, 0);
        Assert.Equal(0xA0U, t.ReadApic(Esr));
        t.WriteApic(Esr, 0);
        Assert.Equal(0U, t.ReadApic(Esr));
    }

    [Fact]
    public void A_fixed_timer_vector_below_16_is_a_received_illegal_vector()
    {
        TestChipset t = Enabled();
        t.WriteApic(LvtTimer, 0x05);
        t.WriteApic(InitialCount, 10);
        t.Advance(100);
        t.WriteApic(Esr, 0);
        Assert.Equal(0x40U, t.ReadApic(Esr));
        Assert.False(t.Apic.HasInterrupt);
    }

    // ICR low, ICR high, and which of four processors hear it (as fixed requests of vector 41h).
    [Theory]
    [InlineData(0x0_0041U, 0x0200_0000U, "..2.")]
    [InlineData(0x0_0041U, 0xFF00_0000U, "0123")]
    [InlineData(0x4_0041U, 0x0300_0000U, "0...")]
    [InlineData(0x8_0041U, 0x0000_0000U, "0123")]
    [InlineData(0xC_0041U, 0x0000_0000U, ".123")]
    [InlineData(0x0_0841U, 0x0500_0000U, "0.2.")] // logical, flat: bits 0 and 2
    [InlineData(0x0_0841U, 0xFF00_0000U, "0123")]
    [InlineData(0x0_0941U, 0x0C00_0000U, "..2.")] // lowest priority among 2 and 3: the first of equals
    [InlineData(0x0_0041U, 0x0900_0000U, "....")]
    public void Interprocessor_interrupts_reach_those_addressed(uint low, uint high, string heard)
    {
        TestChipset t = Enabled(4);
        t.WriteApic(IcrHigh, high);
        t.WriteApic(IcrLow, low);
        Assert.Equal(heard, Heard(t));
    }

    [Fact]
    public void Lowest_priority_goes_to_the_processor_with_the_lowest_priority()
    {
        TestChipset t = Enabled(4);
        for (int i = 0; i < 4; i++)
        {
            t.Chipset.LocalApics[i].TaskPriority = i == 2 ? (byte)0x10 : (byte)0x20;
        }

        t.WriteApic(IcrHigh, 0x0F00_0000);
        t.WriteApic(IcrLow, 0x0941);
        Assert.Equal("..2.", Heard(t));
    }

    // Cluster model: LDR = cluster in the high four bits, member in the low.
    [Theory]
    [InlineData(0x1300_0000U, "01..")]
    [InlineData(0x2200_0000U, "...3")]
    [InlineData(0x2400_0000U, "....")]
    [InlineData(0xFF00_0000U, "0123")]
    public void Cluster_destinations(uint high, string heard)
    {
        TestChipset t = Enabled(4);
        byte[] logical = [0x11, 0x12, 0x21, 0x22];
        for (int i = 0; i < 4; i++)
        {
            t.Chipset.LocalApics[i].WriteMmio(Dfr, 4, 0x0FFF_FFFF);
            t.Chipset.LocalApics[i].WriteMmio(Ldr, 4, (uint)logical[i] << 24);
        }

        t.WriteApic(IcrHigh, high);
        t.WriteApic(IcrLow, 0x841);
        Assert.Equal(heard, Heard(t));
    }

    [Fact]
    public void Linux_s_start_of_a_processor_is_init_deassert_and_two_start_ups()
    {
        // arch/x86/kernel/smpboot.c, wakeup_secondary_cpu_via_init()
        var t = new TestChipset(2);
        t.WriteApic(IcrHigh, 0x0100_0000);
        t.WriteApic(IcrLow, 0x0000_C500);
        t.WriteApic(IcrLow, 0x0000_8500);
        t.WriteApic(IcrLow, 0x0000_0699);
        t.WriteApic(IcrLow, 0x0000_0699);
        Assert.Equal(0U, t.ReadApic(IcrLow) & 0x1000);
        Assert.Equal((1, 0), (t.Vcpus[1].Inits, t.Vcpus[0].Inits));
        Assert.Equal([0x99, 0x99], t.Vcpus[1].StartUps);
        Assert.Empty(t.Vcpus[0].StartUps);
    }

    [Fact]
    public void Nmi_reaches_the_others_whatever_their_software_enable_says()
    {
        var t = new TestChipset(3);
        t.WriteApic(IcrLow, 0xC_0400);
        Assert.Equal((0, 1, 1), (t.Vcpus[0].Nmis, t.Vcpus[1].Nmis, t.Vcpus[2].Nmis));
    }

    [Fact]
    public void Init_resets_the_target_s_registers_and_keeps_its_base()
    {
        TestChipset t = Enabled(2);
        LocalApic target = t.Chipset.LocalApics[1];
        target.WriteMmio(InitialCount, 4, 1000);
        t.WriteApic(IcrHigh, 0x0100_0000);
        t.WriteApic(IcrLow, 0x4500);
        Assert.Equal((0xFFUL, 0UL, 0x1_0000UL), (target.ReadMmio(Svr, 4), target.ReadMmio(CurrentCount, 4), target.ReadMmio(LvtTimer, 4)));
        Assert.True(target.TryGetMmioBase(out _));
    }

    [Theory]
    [InlineData(0x0, 2)]
    [InlineData(0x1, 4)]
    [InlineData(0x2, 8)]
    [InlineData(0x3, 16)]
    [InlineData(0x8, 32)]
    [InlineData(0x9, 64)]
    [InlineData(0xA, 128)]
    [InlineData(0xB, 1)]
    public void One_shot_timer_counts_nanoseconds_through_the_divider(uint configuration, int divisor)
    {
        TestChipset t = Enabled();
        t.AdvanceTo(1003);
        t.WriteApic(LvtTimer, 0x31);
        t.WriteApic(Divide, configuration);
        t.WriteApic(InitialCount, 1000);
        Assert.Equal(1000U, t.ReadApic(CurrentCount));
        t.Advance(10 * (ulong)divisor);
        Assert.Equal(990U, t.ReadApic(CurrentCount));
        t.AdvanceTo(1003 + (1000 * (ulong)divisor) - 1);
        Assert.Equal(1U, t.ReadApic(CurrentCount));
        Assert.False(t.Apic.HasInterrupt);
        t.Advance(1);
        Assert.Equal(0U, t.ReadApic(CurrentCount));
        Assert.Equal(0x31, t.Apic.Acknowledge());
        t.WriteApic(Eoi, 0);
        t.Advance(1_000_000);
        Assert.False(t.Apic.HasInterrupt);
    }

    [Fact]
    public void Periodic_timer_never_drifts()
    {
        TestChipset t = Enabled();
        t.AdvanceTo(500);
        t.WriteApic(LvtTimer, 0x2_0031);
        t.WriteApic(Divide, 3);
        t.WriteApic(InitialCount, 62_500);
        for (int i = 1; i <= 1000; i++)
        {
            ulong due = 500 + ((ulong)i * 1_000_000);
            t.AdvanceTo(due - 1);
            Assert.False(t.Apic.HasInterrupt);
            t.AdvanceTo(due);
            Assert.Equal(0x31, t.Apic.Acknowledge());
            t.WriteApic(Eoi, 0);
        }

        t.WriteApic(InitialCount, 0);
        t.Advance(10_000_000);
        Assert.False(t.Apic.HasInterrupt);
    }

    [Fact]
    public void Periods_missed_altogether_are_one_interrupt_and_the_phase_stays()
    {
        TestChipset t = Enabled();
        t.WriteApic(LvtTimer, 0x2_0031);
        t.WriteApic(Divide, 0xB);
        t.WriteApic(InitialCount, 100);
        t.Clock.Now = 1050;
        t.Events.RunDue(1050);
        Assert.Equal(0x31, t.Apic.Acknowledge());
        t.WriteApic(Eoi, 0);
        Assert.False(t.Apic.HasInterrupt);
        Assert.Equal(50U, t.ReadApic(CurrentCount));
        t.AdvanceTo(1100);
        Assert.True(t.Apic.HasInterrupt);
    }

    [Fact]
    public void A_masked_timer_runs_and_is_not_heard()
    {
        TestChipset t = Enabled();
        t.WriteApic(LvtTimer, 0x1_0031);
        t.WriteApic(Divide, 0xB);
        t.WriteApic(InitialCount, 100);
        t.Advance(60);
        Assert.Equal(40U, t.ReadApic(CurrentCount));
        t.Advance(60);
        t.WriteApic(LvtTimer, 0x31);
        Assert.False(t.Apic.HasInterrupt);
    }

    [Fact]
    public void Changing_the_divider_lets_the_rest_of_the_count_go_on_at_the_new_rate()
    {
        TestChipset t = Enabled();
        t.WriteApic(LvtTimer, 0x31);
        t.WriteApic(Divide, 0xB);
        t.WriteApic(InitialCount, 1000);
        t.Advance(400);
        t.WriteApic(Divide, 0x0);
        t.Advance(1199);
        Assert.False(t.Apic.HasInterrupt);
        t.Advance(1);
        Assert.True(t.Apic.HasInterrupt);
    }

    [Fact]
    public void Deadline_timer_fires_when_the_time_stamp_counter_reaches_it_and_clears_itself()
    {
        TestChipset t = Enabled();
        t.AdvanceTo(10_000);
        t.Apic.TscOffset = 1_000_000;
        t.WriteApic(LvtTimer, 0x4_0031);
        Assert.True(t.Apic.TryWriteMsr(0x6E0, 1_015_000));
        Assert.Equal(0U, t.ReadApic(CurrentCount));
        t.AdvanceTo(14_999);
        Assert.False(t.Apic.HasInterrupt);
        Assert.Equal(1_015_000UL, ReadMsr(t, 0x6E0));
        t.AdvanceTo(15_000);
        Assert.True(t.Apic.HasInterrupt);
        Assert.Equal(0UL, ReadMsr(t, 0x6E0));
    }

    [Fact]
    public void A_deadline_that_has_passed_fires_at_once_and_zero_disarms()
    {
        TestChipset t = Enabled();
        t.AdvanceTo(10_000);
        t.WriteApic(LvtTimer, 0x4_0031);
        t.Apic.TryWriteMsr(0x6E0, 20_000);
        t.Apic.TryWriteMsr(0x6E0, 0);
        t.AdvanceTo(30_000);
        Assert.False(t.Apic.HasInterrupt);
        t.Apic.TryWriteMsr(0x6E0, 29_999);
        Assert.True(t.Apic.HasInterrupt);
    }

    [Fact]
    public void Moving_the_time_stamp_counter_moves_the_deadline()
    {
        TestChipset t = Enabled();
        t.WriteApic(LvtTimer, 0x4_0031);
        t.Apic.TryWriteMsr(0x6E0, 1000);
        t.Apic.TscOffset = 400;
        t.AdvanceTo(599);
        Assert.False(t.Apic.HasInterrupt);
        t.AdvanceTo(600);
        Assert.True(t.Apic.HasInterrupt);
    }

    [Fact]
    public void The_modes_do_not_mix()
    {
        TestChipset t = Enabled();
        t.Apic.TryWriteMsr(0x6E0, 1000);
        Assert.Equal(0UL, ReadMsr(t, 0x6E0));
        t.WriteApic(LvtTimer, 0x4_0031);
        t.WriteApic(InitialCount, 1000);
        Assert.Equal(0U, t.ReadApic(InitialCount));
        t.Apic.TryWriteMsr(0x6E0, 1000);
        t.WriteApic(LvtTimer, 0x0031);
        t.Advance(5000);
        Assert.False(t.Apic.HasInterrupt);
        Assert.Equal(0UL, ReadMsr(t, 0x6E0));
    }

    // From one state of APIC_BASE to another: SDM vol. 3A figure 10-27.
    [Theory]
    [InlineData(0x800, 0xC00, true)]
    [InlineData(0x800, 0x000, true)]
    [InlineData(0x800, 0x400, false)]
    [InlineData(0xC00, 0x000, true)]
    [InlineData(0xC00, 0x800, false)]
    [InlineData(0xC00, 0x400, false)]
    [InlineData(0x000, 0x800, true)]
    [InlineData(0x000, 0xC00, false)]
    [InlineData(0x000, 0x400, false)]
    public void Base_allows_the_manual_s_transitions(int from, int to, bool allowed)
    {
        var t = new TestChipset();
        const ulong Base = 0xFEE0_0100;
        Assert.True(t.Apic.TryWriteMsr(0x1B, Base | (uint)from));
        Assert.Equal(allowed, t.Apic.TryWriteMsr(0x1B, Base | (uint)to));
        Assert.Equal(Base | (uint)(allowed ? to : from), ReadMsr(t, 0x1B));
        Assert.Equal((allowed ? to : from) == 0x800, t.Apic.TryGetMmioBase(out ulong address));
        Assert.Equal(0xFEE0_0000UL, address);
    }

    [Theory]
    [InlineData(0x0000_0000_FEE0_0901UL)]
    [InlineData(0x0000_0000_FEE0_0A00UL)]
    [InlineData(0x0000_0100_FEE0_0900UL)] // beyond 40 address bits
    public void Reserved_bits_of_the_base_fault(ulong value) => Assert.False(new TestChipset().Apic.TryWriteMsr(0x1B, value));

    [Fact]
    public void The_window_moves_with_the_base()
    {
        var t = new TestChipset();
        Assert.True(t.Apic.TryWriteMsr(0x1B, 0x12_3456_7900));
        Assert.True(t.Apic.TryGetMmioBase(out ulong address));
        Assert.Equal(0x12_3456_7000UL, address);
    }

    [Fact]
    public void Switched_off_the_intr_pin_is_the_bootstrap_processor_s_alone()
    {
        var t = new TestChipset(2);
        foreach (LocalApic apic in t.Chipset.LocalApics)
        {
            Assert.True(apic.TryWriteMsr(0x1B, 0xFEE0_0000));
        }

        t.Chipset.Pic.SetLine(1, true);
        Assert.True(t.Apic.HasInterrupt);
        Assert.False(t.Chipset.LocalApics[1].HasInterrupt);
        Assert.Equal(9, t.Apic.Acknowledge());

        // Back on, it is as after RESET.
        Assert.True(t.Apic.TryWriteMsr(0x1B, 0xFEE0_0800));
        Assert.Equal(0xFFU, t.ReadApic(Svr));
    }

    [Fact]
    public void Lint0_as_a_fixed_interrupt_passes_the_pic_s_edge_as_its_own_vector()
    {
        TestChipset t = Enabled();
        t.WriteApic(LvtLint0, 0x61);
        t.Chipset.Pic.SetLine(1, true);
        Assert.Equal(0x61, t.Apic.Acknowledge());
    }

    [Fact]
    public void Lint0_masked_stops_the_pic_and_unmasked_lets_it_through()
    {
        TestChipset t = Enabled();
        t.WriteApic(LvtLint0, 0x1_0700);
        t.Chipset.Pic.SetLine(1, true);
        Assert.False(t.Apic.HasInterrupt);
        t.Vcpus[0].Changes = 0;
        t.WriteApic(LvtLint0, 0x0700);
        Assert.Equal(1, t.Vcpus[0].Changes);
        Assert.True(t.Apic.HasInterrupt);
    }

    [Fact]
    public void X2apic_registers_are_msrs_and_there_is_no_window()
    {
        TestChipset t = InX2Mode(2);
        LocalApic apic = t.Chipset.LocalApics[1];
        Assert.False(apic.TryGetMmioBase(out _));
        (uint Register, ulong Value)[] expected =
        [
            (0x02, 1), (0x03, 0x0005_0014), (0x08, 0), (0x0A, 0), (0x0D, 0x0000_0002), (0x0F, 0x1FF), (0x10, 0), (0x27, 0), (0x28, 0),
            (0x30, 0), (0x32, 0x1_0000), (0x37, 0x1_0000), (0x38, 0), (0x39, 0), (0x3E, 0),
        ];
        foreach ((uint register, ulong value) in expected)
        {
            Assert.True(apic.TryReadMsr(Msr + register, out ulong read));
            Assert.Equal((register, value), (register, read));
        }
    }

    [Theory]
    [InlineData(0x00)]
    [InlineData(0x09)]
    [InlineData(0x0B)] // EOI is write-only
    [InlineData(0x0C)]
    [InlineData(0x0E)] // no destination format
    [InlineData(0x2F)] // no CMCI
    [InlineData(0x31)]
    [InlineData(0x3F)]
    [InlineData(0x40)]
    [InlineData(0xFF)]
    public void X2apic_reads_of_what_is_not_there_fault(uint register) =>
        Assert.False(InX2Mode(1).Apic.TryReadMsr(Msr + register, out _));

    [Theory]
    [InlineData(0x02, 0UL)]
    [InlineData(0x03, 0UL)]
    [InlineData(0x08, 0x100UL)]
    [InlineData(0x0A, 0UL)]
    [InlineData(0x0B, 1UL)]
    [InlineData(0x0D, 0UL)]
    [InlineData(0x0F, 0x400UL)]
    [InlineData(0x10, 0UL)]
    [InlineData(0x28, 1UL)]
    [InlineData(0x30, 0x10_0000UL)]
    [InlineData(0x31, 0UL)]
    [InlineData(0x32, 0x8_0000UL)]
    [InlineData(0x37, 0x700UL)]
    [InlineData(0x38, 0x1_0000_0000UL)]
    [InlineData(0x39, 0UL)]
    [InlineData(0x3E, 0x10UL)]
    [InlineData(0x3F, 0x100UL)]
    [InlineData(0x50, 0UL)]
    public void X2apic_writes_of_what_cannot_be_written_fault(uint register, ulong value) =>
        Assert.False(InX2Mode(1).Apic.TryWriteMsr(Msr + register, value));

    [Fact]
    public void Msrs_fault_while_the_apic_is_in_xapic_mode()
    {
        var t = new TestChipset();
        Assert.False(t.Apic.TryReadMsr(0x802, out _));
        Assert.False(t.Apic.TryWriteMsr(0x80B, 0));
        Assert.False(t.Apic.TryReadMsr(0x1C, out _));
    }

    [Theory]
    [InlineData(0x0000_0002_0000_0041UL, "..2.")]
    [InlineData(0xFFFF_FFFF_0000_0041UL, "0123")]
    [InlineData(0x0000_000A_0000_0841UL, ".1.3")] // logical, cluster 0, members 1 and 3
    [InlineData(0x0001_0001_0000_0841UL, "....")] // cluster 1
    [InlineData(0x0000_0000_000C_0041UL, ".123")]
    public void X2apic_commands_have_32_bits_of_destination(ulong command, string heard)
    {
        TestChipset t = InX2Mode(4);
        Assert.True(t.Apic.TryWriteMsr(0x830, command));
        Assert.Equal(command, ReadMsr(t, 0x830));
        Assert.Equal(heard, Heard(t));
    }

    [Fact]
    public void Processors_from_16_on_are_in_further_clusters()
    {
        TestChipset t = InX2Mode(20);
        Assert.True(t.Chipset.LocalApics[18].TryReadMsr(0x80D, out ulong logical));
        Assert.Equal(0x0001_0004UL, logical);
        Assert.True(t.Apic.TryWriteMsr(0x830, 0x0001_0004_0000_0841));
        Assert.Equal("..................18.", Heard(t));
    }

    [Fact]
    public void Self_ipi_sends_to_its_own_processor_and_leaves_the_command_register()
    {
        TestChipset t = InX2Mode(2);
        Assert.True(t.Apic.TryWriteMsr(0x83F, 0x41));
        Assert.Equal("0.", Heard(t));
        Assert.Equal(0UL, ReadMsr(t, 0x830));
    }

    [Fact]
    public void A_narrow_access_reads_its_bytes_and_writes_nothing()
    {
        TestChipset t = Enabled();
        Assert.Equal(0x05UL, t.Apic.ReadMmio(Version + 2, 1));
        Assert.Equal(0x0014UL, t.Apic.ReadMmio(Version, 2));
        t.Apic.WriteMmio(Tpr, 1, 0x20);
        t.Apic.WriteMmio(Tpr + 4, 4, 0x20);
        Assert.Equal(0U, t.ReadApic(Tpr));
    }

    [Fact]
    public void Saved_with_everything_under_way_and_loaded_both_go_on_alike()
    {
        TestChipset t = Enabled(2);
        t.AdvanceTo(777);
        t.WriteApic(LvtTimer, 0x2_0031);
        t.WriteApic(Divide, 0x3);
        t.WriteApic(InitialCount, 1234);
        LocalApic second = t.Chipset.LocalApics[1];
        Assert.True(second.TryWriteMsr(0x1B, 0xFEE0_0C00));
        second.TscOffset = 99;
        Assert.True(second.TryWriteMsr(0x832, 0x4_0055));
        Assert.True(second.TryWriteMsr(0x6E0, 60_000));
        SelfIpi(t, 0x41);
        SelfIpi(t, 0x61);
        t.Apic.Acknowledge();
        t.ReadApic(0x3D0);
        t.Advance(20_000);
        TestChipset other = t.Fork();
        Assert.Equal(t.Json(), other.Json());
        foreach (TestChipset each in new[] { t, other })
        {
            each.AdvanceTo(59_900);
            Assert.False(each.Chipset.LocalApics[1].HasInterrupt);
            each.AdvanceTo(59_901);
            Assert.Equal(0x55, each.Chipset.LocalApics[1].Acknowledge());
            each.WriteApic(Eoi, 0);
            Assert.Equal(0x41, each.Apic.Acknowledge());
            each.WriteApic(Esr, 0);
        }

        Assert.Equal(t.ReadApic(CurrentCount), other.ReadApic(CurrentCount));
        Assert.Equal(t.Json(), other.Json());
    }

    /// <summary>All APICs on, nothing pending from the PIC, logical IDs 1, 2, 4, … as Linux's flat mode has them.</summary>
    private static TestChipset Enabled(int processors = 1)
    {
        var t = new TestChipset(processors);
        t.Out(0x21, 0xFD);
        for (int i = 0; i < processors; i++)
        {
            t.Chipset.LocalApics[i].WriteMmio(Svr, 4, 0x1FF);
            t.Chipset.LocalApics[i].WriteMmio(Ldr, 4, (ulong)(0x0100_0000u << (i & 7)));
        }

        return t;
    }

    private static TestChipset InX2Mode(int processors)
    {
        TestChipset t = Enabled(processors);
        for (int i = 0; i < processors; i++)
        {
            Assert.True(t.Chipset.LocalApics[i].TryWriteMsr(0x1B, 0xFEE0_0C00));
        }

        return t;
    }

    private static void SelfIpi(TestChipset t, uint vector) => t.WriteApic(IcrLow, 0x4_0000 | vector);

    private static ulong ReadMsr(TestChipset t, uint msr)
    {
        Assert.True(t.Apic.TryReadMsr(msr, out ulong value));
        return value;
    }

    private static string Heard(TestChipset t)
    {
        string heard = "";
        for (int i = 0; i < t.Vcpus.Length; i++)
        {
            LocalApic apic = t.Chipset.LocalApics[i];
            heard += apic.HasInterrupt && apic.Acknowledge() == 0x41 ? i.ToString() : ".";
        }

        return heard;
    }
}
