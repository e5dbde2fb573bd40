using Emulator.Time;

namespace Emulator.Devices;

// The timer: the bus clock is 1 GHz, so one tick before the divider is one nanosecond (SDM vol. 3A §10.5.4).
public sealed partial class LocalApic
{
    private const uint PeriodicMode = 0x2_0000, DeadlineMode = 0x4_0000, TimerModeBits = 0x6_0000;

    private readonly DeviceTimer timer;
    private uint initialCount;
    private uint divideConfiguration;

    // The count stood at countAtStart at the instant countStart; 0 is a stopped timer.
    private uint countAtStart;
    private ulong countStart;
    private ulong tscDeadline;
    private ulong tscOffset;

    /// <summary>
    /// What the vCPU's time-stamp counter is ahead of the machine's nanoseconds, modulo 2⁶⁴: TSC = now + offset. The vCPU
    /// keeps it here whenever the guest writes the counter, so that the deadline timer agrees with RDTSC.
    /// </summary>
    public ulong TscOffset
    {
        get => tscOffset;
        set
        {
            tscOffset = value;
            if (tscDeadline != 0)
            {
                ArmTimer();
            }
        }
    }

    private uint TimerMode => lvt[TimerLvt] & TimerModeBits;

    /// <summary>1, 2, 4 … 128; bits 3, 1 and 0 of the divide configuration count from 2, and all ones mean 1.</summary>
    private uint Divisor => 1U << (int)(((((divideConfiguration >> 1) & 4) | (divideConfiguration & 3)) + 1) & 7);

    private uint CurrentCount
    {
        get
        {
            if (countAtStart == 0 || (TimerMode & DeadlineMode) != 0)
            {
                return 0;
            }

            ulong ticks = (clock.Now - countStart) / Divisor;
            return ticks < countAtStart ? countAtStart - (uint)ticks : 0;
        }
    }

    private void ResetTimer()
    {
        initialCount = divideConfiguration = countAtStart = 0;
        countStart = tscDeadline = 0;
        timer.Disarm();
    }

    private void WriteInitialCount(uint value)
    {
        // In TSC-deadline mode writes are ignored (§10.5.4.1).
        if ((TimerMode & DeadlineMode) != 0)
        {
            return;
        }

        initialCount = countAtStart = value;
        countStart = clock.Now;
        ArmTimer();
    }

    private void WriteDivide(uint value)
    {
        // What is left of the count goes on at the new rate.
        countAtStart = CurrentCount;
        countStart = clock.Now;
        divideConfiguration = value & 0xB;
        ArmTimer();
    }

    private void WriteTscDeadline(ulong value)
    {
        if ((TimerMode & DeadlineMode) != 0)
        {
            tscDeadline = value;
            ArmTimer();
        }
    }

    private void TimerModeChanged(uint before)
    {
        if (((before ^ lvt[TimerLvt]) & DeadlineMode) != 0)
        {
            countAtStart = initialCount = 0;
            tscDeadline = 0;
            ArmTimer();
        }
    }

    private void ArmTimer()
    {
        if ((TimerMode & DeadlineMode) != 0)
        {
            ulong now = clock.Now;
            ulong ahead = tscDeadline - (now + tscOffset);
            if (tscDeadline == 0)
            {
                timer.Disarm();
            }
            else if (tscDeadline <= now + tscOffset)
            {
                TimerExpired();
            }
            else
            {
                timer.Arm(ahead < EventQueue.Never - now ? now + ahead : EventQueue.Never);
            }
        }
        else
        {
            timer.Arm(countAtStart == 0 ? EventQueue.Never : countStart + ((ulong)countAtStart * Divisor));
        }
    }

    private void TimerExpired()
    {
        uint entry = lvt[TimerLvt];
        if ((entry & DeadlineMode) != 0)
        {
            tscDeadline = 0;
            timer.Disarm();
        }
        else if ((entry & PeriodicMode) != 0 && initialCount != 0)
        {
            // The next period begins where this one ended; periods missed altogether are one interrupt.
            countStart += (ulong)countAtStart * Divisor;
            countAtStart = initialCount;
            ulong period = (ulong)initialCount * Divisor;
            countStart += (clock.Now - countStart) / period * period;
            ArmTimer();
        }
        else
        {
            countAtStart = 0;
        }

        if ((entry & LvtMasked) == 0)
        {
            AcceptFixed((byte)entry, levelTriggered: false);
        }
    }

    internal LocalApicState Save() => new(
        ApicBase: apicBase,
        TaskPriority: taskPriority,
        Requests: (uint[])requests.Clone(),
        InService: (uint[])inService.Clone(),
        TriggerMode: (uint[])triggerMode.Clone(),
        LogicalDestination: logicalDestination,
        DestinationFormat: destinationFormat,
        Spurious: spurious,
        ErrorStatus: errorStatus,
        PendingErrors: pendingErrors,
        CommandLow: commandLow,
        CommandHigh: commandHigh,
        Lint0: lint0,
        Lvt: (uint[])lvt.Clone(),
        InitialCount: initialCount,
        DivideConfiguration: divideConfiguration,
        CountAtStart: countAtStart,
        CountStart: countStart,
        TscDeadline: tscDeadline,
        TscOffset: tscOffset,
        Deadline: timer.Deadline);

    internal void Load(LocalApicState state)
    {
        apicBase = state.ApicBase;
        taskPriority = state.TaskPriority;
        state.Requests.AsSpan(0, requests.Length).CopyTo(requests);
        state.InService.AsSpan(0, inService.Length).CopyTo(inService);
        state.TriggerMode.AsSpan(0, triggerMode.Length).CopyTo(triggerMode);
        logicalDestination = state.LogicalDestination;
        destinationFormat = state.DestinationFormat;
        spurious = state.Spurious;
        errorStatus = state.ErrorStatus;
        pendingErrors = state.PendingErrors;
        commandLow = state.CommandLow;
        commandHigh = state.CommandHigh;
        lint0 = state.Lint0;
        state.Lvt.AsSpan(0, lvt.Length).CopyTo(lvt);
        initialCount = state.InitialCount;
        divideConfiguration = state.DivideConfiguration;
        countAtStart = state.CountAtStart;
        countStart = state.CountStart;
        tscDeadline = state.TscDeadline;
        tscOffset = state.TscOffset;
        timer.Arm(state.Deadline);
    }
}

/// <summary>Saved state of a local APIC; its registers are those of SDM vol. 3A table 10-1.</summary>
public sealed record LocalApicState(
    ulong ApicBase,
    byte TaskPriority,
    uint[] Requests,
    uint[] InService,
    uint[] TriggerMode,
    uint LogicalDestination,
    uint DestinationFormat,
    uint Spurious,
    uint ErrorStatus,
    uint PendingErrors,
    uint CommandLow,
    uint CommandHigh,
    bool Lint0,
    uint[] Lvt,
    uint InitialCount,
    uint DivideConfiguration,
    uint CountAtStart,
    ulong CountStart,
    ulong TscDeadline,
    ulong TscOffset,
    ulong Deadline);
