using System.Numerics;
using Emulator.Time;

namespace Emulator.Devices;

/// <summary>
/// The local APIC of one vCPU, in xAPIC and x2APIC mode. As an <see cref="IMmioDevice"/> it is the 4 KiB window of its own
/// CPU only; the vCPU looks there before it asks the bus. Source: Intel SDM vol. 3A chapter 10 (June 2023; 11 in later editions).
/// </summary>
public sealed partial class LocalApic : IMmioDevice
{
    /// <summary>IA32_APIC_BASE.</summary>
    public const uint ApicBaseMsr = 0x1B;

    /// <summary>IA32_TSC_DEADLINE.</summary>
    public const uint TscDeadlineMsr = 0x6E0;

    /// <summary>First MSR of the x2APIC's registers; the last is 8FFh.</summary>
    public const uint FirstX2ApicMsr = 0x800;

    private const ulong BootstrapBit = 0x100, X2ApicBit = 0x400, EnableBit = 0x800;
    private const uint SoftwareEnableBit = 0x100;

    private readonly uint id;
    private readonly ApicBus bus;
    private readonly PicPair pic;
    private readonly IVcpuSignals vcpu;
    private readonly VirtualClock clock;
    private readonly ulong reservedBaseBits;

    // 256 bits each: requests, in service, trigger mode (level).
    private readonly uint[] requests = new uint[8];
    private readonly uint[] inService = new uint[8];
    private readonly uint[] triggerMode = new uint[8];

    private ulong apicBase;
    private byte taskPriority;
    private uint logicalDestination;
    private uint destinationFormat;
    private uint spurious;
    private uint errorStatus;
    private uint pendingErrors;
    private uint commandLow;
    private uint commandHigh;
    private bool lint0;

    internal LocalApic(
        int number, ApicBus bus, PicPair pic, IVcpuSignals vcpu, VirtualClock clock, EventQueue events, int physicalAddressBits)
    {
        id = (uint)number;
        this.bus = bus;
        this.pic = pic;
        this.vcpu = vcpu;
        this.clock = clock;
        reservedBaseBits = (ulong.MaxValue << physicalAddressBits) | 0x2FF;
        timer = events.CreateTimer($"local APIC {number}", TimerExpired);
        Reset();
    }

    /// <summary>IA32_APIC_BASE.</summary>
    internal ulong ApicBase => apicBase;

    /// <summary>The APIC ID, which is the vCPU's number.</summary>
    public uint Id => id;

    /// <summary>
    /// True when <see cref="Acknowledge"/> would give a vector to deliver: a request above the processor priority, or the
    /// PIC's (when LINT0 is set to ExtINT, or when the APIC is off and this is the bootstrap processor, whose INTR pin it then is).
    /// RFLAGS.IF and shadows are the vCPU's business.
    /// </summary>
    public bool HasInterrupt
    {
        get
        {
            if (ExternalInterruptPending)
            {
                return true;
            }

            if (!HardwareEnabled)
            {
                return false;
            }

            int highest = Highest(requests);
            return highest >= 0 && (highest >> 4) > (ProcessorPriority >> 4);
        }
    }

    /// <summary>
    /// The task priority register: bits 7–4 the class, 3–0 the sub-class. CR8 is the class alone: MOV from CR8 reads
    /// <c>TaskPriority &gt;&gt; 4</c>, MOV to CR8 sets <c>TaskPriority = (byte)(value &lt;&lt; 4)</c> (SDM vol. 3A §10.8.6).
    /// </summary>
    public byte TaskPriority
    {
        get => taskPriority;
        set
        {
            taskPriority = value;
            SignalIfPending();
        }
    }

    /// <summary>PPR: the higher of the task's priority and the class of what is in service (SDM vol. 3A §10.8.3.1).</summary>
    internal int ProcessorPriority
    {
        get
        {
            int serving = Math.Max(Highest(inService), 0);
            return (taskPriority >> 4) >= (serving >> 4) ? taskPriority : serving & 0xF0;
        }
    }

    internal bool HardwareEnabled => (apicBase & EnableBit) != 0;

    internal bool SoftwareEnabled => HardwareEnabled && (spurious & SoftwareEnableBit) != 0;

    private bool X2Mode => (apicBase & X2ApicBit) != 0;

    private bool ExternalInterruptPending => lint0 && (HardwareEnabled
        ? (lvt[Lint0] & (LvtMasked | 0x700)) == (uint)DeliveryMode.ExtInt << 8
        : (apicBase & BootstrapBit) != 0);

    /// <summary>
    /// The acknowledge cycle: gives the vector to deliver and marks it in service (or runs the PIC's INTA). Without
    /// <see cref="HasInterrupt"/> it gives the spurious vector.
    /// </summary>
    public int Acknowledge()
    {
        if (ExternalInterruptPending)
        {
            return pic.Acknowledge();
        }

        int highest = Highest(requests);
        if (!HardwareEnabled || highest < 0 || (highest >> 4) <= (ProcessorPriority >> 4))
        {
            return (int)(spurious & 0xFF);
        }

        Clear(requests, highest);
        Set(inService, highest);
        return highest;
    }

    /// <summary>Where the register window lies in the physical address space; false when there is none (APIC off, or x2APIC mode).</summary>
    public bool TryGetMmioBase(out ulong address)
    {
        address = apicBase & ~0xFFFUL;
        return (apicBase & (EnableBit | X2ApicBit)) == EnableBit;
    }

    /// <summary>The power-on state, or the one after RESET.</summary>
    public void Reset()
    {
        apicBase = Memory.PhysicalLayout.LocalApic | EnableBit | (id == 0 ? BootstrapBit : 0);
        TscOffset = 0;
        ResetRegisters();
    }

    /// <summary>What firmware leaves on the bootstrap processor: virtual wire mode (MultiProcessor Specification 1.4 §3.6.2.2).</summary>
    internal void InitializeAsFirmware()
    {
        if (id == 0)
        {
            spurious = SoftwareEnableBit | 0xFF;
            lvt[Lint0] = (uint)DeliveryMode.ExtInt << 8;
            lvt[Lint1] = (uint)DeliveryMode.Nmi << 8;
        }
    }

    /// <summary>The wire from the PIC's INTR.</summary>
    internal void SetLint0(bool high)
    {
        bool rises = high && !lint0;
        lint0 = high;
        if (ExternalInterruptPending)
        {
            vcpu.InterruptChanged();
        }
        else if (rises && HardwareEnabled && (lvt[Lint0] & (LvtMasked | 0x700)) == 0)
        {
            AcceptFixed((byte)lvt[Lint0], levelTriggered: false);
        }
    }

    /// <summary>A pulse on the NMI wire.</summary>
    internal void PulseLint1()
    {
        if (!HardwareEnabled)
        {
            vcpu.Nmi();
        }
        else if ((lvt[Lint1] & LvtMasked) == 0)
        {
            DeliverLocally(lvt[Lint1]);
        }
    }

    /// <summary>True when the destination means this APIC (SDM vol. 3A §10.6.2 and §10.12.10).</summary>
    internal bool IsAddressedBy(in InterruptMessage message)
    {
        if (!HardwareEnabled)
        {
            return false;
        }

        uint destination = message.Destination;
        if (destination == (message.Wide ? 0xFFFF_FFFF : 0xFF))
        {
            return true;
        }

        if (!message.Logical)
        {
            return destination == id;
        }

        if (X2Mode)
        {
            return destination >> 16 == logicalDestination >> 16 && (destination & logicalDestination & 0xFFFF) != 0;
        }

        uint logical = logicalDestination >> 24;
        if (destination > 0xFF)
        {
            return false;
        }

        return destinationFormat >> 28 == 0xF
            ? (logical & destination) != 0
            : logical >> 4 == destination >> 4 && (logical & destination & 15) != 0;
    }

    /// <summary>Takes a message addressed to this APIC; false when it is refused.</summary>
    internal bool Accept(in InterruptMessage message)
    {
        switch (message.Mode)
        {
            case DeliveryMode.Fixed or DeliveryMode.LowestPriority:
                return AcceptFixed(message.Vector, message.LevelTriggered);
            case DeliveryMode.Nmi:
                vcpu.Nmi();
                return true;
            case DeliveryMode.Init:
                ResetRegisters();
                vcpu.Init();
                return true;
            case DeliveryMode.StartUp:
                vcpu.StartUp(message.Vector);
                return true;
            default:
                // There is no system management mode to enter, and ExtINT only comes over LINT0.
                return false;
        }
    }

    private bool AcceptFixed(byte vector, bool levelTriggered)
    {
        if (!SoftwareEnabled)
        {
            return false;
        }

        if (vector < 16)
        {
            RaiseError(ReceivedIllegalVector);
            return false;
        }

        Set(requests, vector);
        if (levelTriggered)
        {
            Set(triggerMode, vector);
        }
        else
        {
            Clear(triggerMode, vector);
        }

        SignalIfPending();
        return true;
    }

    /// <summary>Acts on a local vector table entry.</summary>
    private void DeliverLocally(uint entry)
    {
        if ((entry & LvtMasked) != 0)
        {
            return;
        }

        switch ((DeliveryMode)((entry >> 8) & 7))
        {
            case DeliveryMode.Fixed:
                AcceptFixed((byte)entry, levelTriggered: false);
                break;
            case DeliveryMode.Nmi:
                vcpu.Nmi();
                break;
            case DeliveryMode.Init:
                ResetRegisters();
                vcpu.Init();
                break;
        }
    }

    private void EndOfInterrupt()
    {
        int vector = Highest(inService);
        if (vector < 0)
        {
            return;
        }

        Clear(inService, vector);
        if ((triggerMode[vector >> 5] & (1U << (vector & 31))) != 0)
        {
            bus.EndOfInterrupt((byte)vector);
        }

        SignalIfPending();
    }

    private void RaiseError(uint error)
    {
        pendingErrors |= error;
        byte vector = (byte)lvt[ErrorLvt];
        if ((lvt[ErrorLvt] & LvtMasked) == 0 && vector >= 16)
        {
            AcceptFixed(vector, levelTriggered: false);
        }
    }

    private void SignalIfPending()
    {
        if (HasInterrupt)
        {
            vcpu.InterruptChanged();
        }
    }

    /// <summary>The registers after RESET or INIT (SDM vol. 3A §10.4.7.1 and .3); ID and base stay.</summary>
    private void ResetRegisters()
    {
        requests.AsSpan().Clear();
        inService.AsSpan().Clear();
        triggerMode.AsSpan().Clear();
        taskPriority = 0;
        destinationFormat = 0xFFFF_FFFF;
        logicalDestination = X2Mode ? X2LogicalId : 0;
        spurious = 0xFF;
        errorStatus = pendingErrors = 0;
        commandLow = commandHigh = 0;
        lvt.AsSpan().Fill(LvtMasked);
        ResetTimer();
    }

    private static int Highest(uint[] bits)
    {
        for (int i = 7; i >= 0; i--)
        {
            if (bits[i] != 0)
            {
                return (i * 32) + BitOperations.Log2(bits[i]);
            }
        }

        return -1;
    }

    private static void Set(uint[] bits, int vector) => bits[vector >> 5] |= 1U << (vector & 31);

    private static void Clear(uint[] bits, int vector) => bits[vector >> 5] &= ~(1U << (vector & 31));
}
