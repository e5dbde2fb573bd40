namespace Emulator.Devices;

// The register file: the MMIO window of xAPIC mode and the MSRs of x2APIC mode number the same registers, one at
// offset n · 16 and MSR 800h + n (SDM vol. 3A tables 10-1 and 10-6).
public sealed partial class LocalApic
{
    // Version 14h, last LVT entry number 5.
    private const uint Version = 0x0005_0014;

    private const uint SentIllegalVector = 0x20, ReceivedIllegalVector = 0x40, IllegalRegister = 0x80;
    private const uint CommandWritable = 0x000C_CFFF;
    private const uint SpuriousWritable = 0x3FF;

    private const int IdRegister = 0x02, VersionRegister = 0x03, TprRegister = 0x08, AprRegister = 0x09, PprRegister = 0x0A;
    private const int EoiRegister = 0x0B, RemoteReadRegister = 0x0C, LdrRegister = 0x0D, DfrRegister = 0x0E, SvrRegister = 0x0F;
    private const int IsrRegister = 0x10, TmrRegister = 0x18, IrrRegister = 0x20, EsrRegister = 0x28;
    private const int IcrRegister = 0x30, IcrHighRegister = 0x31, FirstLvtRegister = 0x32, LastLvtRegister = 0x37;
    private const int InitialCountRegister = 0x38, CurrentCountRegister = 0x39, DivideRegister = 0x3E, SelfIpiRegister = 0x3F;

    /// <summary>Entries of the local vector table.</summary>
    internal const int LvtCount = LastLvtRegister - FirstLvtRegister + 1;

    private const uint LvtMasked = 0x1_0000;
    private const int TimerLvt = 0, Lint0 = 3, Lint1 = 4, ErrorLvt = 5;

    private readonly uint[] lvt = new uint[LvtCount];

    // Timer, thermal sensor, performance counters, LINT0, LINT1, error.
    private static ReadOnlySpan<uint> LvtWritable => [0x0007_00FF, 0x0001_07FF, 0x0001_07FF, 0x0001_A7FF, 0x0001_A7FF, 0x0001_00FF];

    private uint X2LogicalId => ((id & ~15U) << 12) | (1U << (int)(id & 15));

    /// <inheritdoc/>
    public ulong ReadMmio(ulong offset, int size)
    {
        if (!TryReadRegister((int)(offset >> 4) & 0xFF, out uint value))
        {
            RaiseError(IllegalRegister);
        }

        // Only the first four of each sixteen bytes are a register.
        int within = (int)(offset & 15);
        return within >= 4 ? 0 : value >> (8 * within) & (size >= 4 ? uint.MaxValue : (1U << (8 * size)) - 1);
    }

    /// <inheritdoc/>
    public void WriteMmio(ulong offset, int size, ulong value)
    {
        // Registers are written whole (SDM vol. 3A §10.4.1); anything else is undefined and has no effect here.
        if ((offset & 15) != 0 || size < 4)
        {
            return;
        }

        if (!TryWriteRegister((int)(offset >> 4) & 0xFF, (uint)value))
        {
            RaiseError(IllegalRegister);
        }
    }

    /// <summary>RDMSR of APIC_BASE, TSC_DEADLINE and 800h–8FFh; false is a #GP.</summary>
    public bool TryReadMsr(uint msr, out ulong value)
    {
        value = 0;
        switch (msr)
        {
            case ApicBaseMsr:
                value = apicBase;
                return true;
            case TscDeadlineMsr:
                value = tscDeadline;
                return true;
        }

        int register = (int)(msr - FirstX2ApicMsr);
        if ((uint)register > 0xFF || !X2Mode
            || register is AprRegister or RemoteReadRegister or EoiRegister or DfrRegister or IcrHighRegister or SelfIpiRegister)
        {
            return false;
        }

        if (!TryReadRegister(register, out uint low))
        {
            return false;
        }

        value = register == IcrRegister ? ((ulong)commandHigh << 32) | low : low;
        return true;
    }

    /// <summary>WRMSR of APIC_BASE, TSC_DEADLINE and 800h–8FFh; false is a #GP.</summary>
    public bool TryWriteMsr(uint msr, ulong value)
    {
        switch (msr)
        {
            case ApicBaseMsr:
                return TryWriteBase(value);
            case TscDeadlineMsr:
                WriteTscDeadline(value);
                return true;
        }

        int register = (int)(msr - FirstX2ApicMsr);
        return (uint)register <= 0xFF && X2Mode && TryWriteX2(register, value);
    }

    private bool TryWriteX2(int register, ulong value)
    {
        if (register == IcrRegister)
        {
            if (((uint)value & ~CommandWritable) != 0)
            {
                return false;
            }

            commandHigh = (uint)(value >> 32);
            WriteCommand((uint)value);
            return true;
        }

        uint allowed = register switch
        {
            TprRegister or SelfIpiRegister => 0xFF,
            EoiRegister or EsrRegister => 0,
            SvrRegister => SpuriousWritable,
            >= FirstLvtRegister and <= LastLvtRegister => LvtWritable[register - FirstLvtRegister] | 0x1000,
            InitialCountRegister => uint.MaxValue,
            DivideRegister => 0xB,
            _ => 0,
        };
        bool writable = register is TprRegister or EoiRegister or SvrRegister or EsrRegister or InitialCountRegister
            or DivideRegister or SelfIpiRegister or (>= FirstLvtRegister and <= LastLvtRegister);
        return writable && (value & ~(ulong)allowed) == 0 && TryWriteRegister(register, (uint)value);
    }

    private bool TryReadRegister(int register, out uint value)
    {
        value = 0;
        switch (register)
        {
            case IdRegister:
                value = X2Mode ? id : id << 24;
                return true;
            case VersionRegister:
                value = Version;
                return true;
            case TprRegister:
                value = taskPriority;
                return true;
            case PprRegister:
                value = (uint)ProcessorPriority;
                return true;
            case AprRegister or RemoteReadRegister or EoiRegister:
                return true;
            case LdrRegister:
                value = logicalDestination;
                return true;
            case DfrRegister:
                value = destinationFormat;
                return true;
            case SvrRegister:
                value = spurious;
                return true;
            case >= IsrRegister and < TmrRegister:
                value = inService[register - IsrRegister];
                return true;
            case >= TmrRegister and < IrrRegister:
                value = triggerMode[register - TmrRegister];
                return true;
            case >= IrrRegister and < EsrRegister:
                value = requests[register - IrrRegister];
                return true;
            case EsrRegister:
                value = errorStatus;
                return true;
            case IcrRegister:
                value = commandLow;
                return true;
            case IcrHighRegister:
                value = commandHigh;
                return true;
            case >= FirstLvtRegister and <= LastLvtRegister:
                value = lvt[register - FirstLvtRegister];
                return true;
            case InitialCountRegister:
                value = initialCount;
                return true;
            case CurrentCountRegister:
                value = CurrentCount;
                return true;
            case DivideRegister:
                value = divideConfiguration;
                return true;
            default:
                return false;
        }
    }

    private bool TryWriteRegister(int register, uint value)
    {
        switch (register)
        {
            case TprRegister:
                TaskPriority = (byte)value;
                return true;
            case EoiRegister:
                EndOfInterrupt();
                return true;
            case LdrRegister:
                logicalDestination = value & 0xFF00_0000;
                return true;
            case DfrRegister:
                destinationFormat = value | 0x0FFF_FFFF;
                return true;
            case SvrRegister:
                WriteSpurious(value);
                return true;
            case EsrRegister:
                // A write latches what has gathered since the last one.
                errorStatus = pendingErrors;
                pendingErrors = 0;
                return true;
            case IcrRegister:
                WriteCommand(value & CommandWritable);
                return true;
            case IcrHighRegister:
                commandHigh = value & 0xFF00_0000;
                return true;
            case >= FirstLvtRegister and <= LastLvtRegister:
                WriteLvt(register - FirstLvtRegister, value);
                return true;
            case InitialCountRegister:
                WriteInitialCount(value);
                return true;
            case DivideRegister:
                WriteDivide(value);
                return true;
            case SelfIpiRegister when X2Mode:
                if ((byte)value < 16)
                {
                    RaiseError(SentIllegalVector);
                }
                else
                {
                    AcceptFixed((byte)value, levelTriggered: false);
                }

                return true;
            case IdRegister or VersionRegister or AprRegister or PprRegister or RemoteReadRegister or CurrentCountRegister
                or (>= IsrRegister and < EsrRegister):
                return true;
            default:
                return false;
        }
    }

    private void WriteSpurious(uint value)
    {
        spurious = value & SpuriousWritable;
        if (!SoftwareEnabled)
        {
            foreach (ref uint entry in lvt.AsSpan())
            {
                entry |= LvtMasked;
            }
        }
    }

    private void WriteLvt(int entry, uint value)
    {
        uint before = lvt[entry];
        lvt[entry] = (value & LvtWritable[entry]) | (SoftwareEnabled ? 0 : LvtMasked);
        if (entry == TimerLvt)
        {
            TimerModeChanged(before);
        }
        else if (entry == Lint0)
        {
            SignalIfPending();
        }
    }

    /// <summary>A write of the interrupt command register sends (SDM vol. 3A §10.6.1).</summary>
    private void WriteCommand(uint value)
    {
        commandLow = value;
        var mode = (DeliveryMode)((value >> 8) & 7);
        byte vector = (byte)value;
        if (mode is DeliveryMode.Fixed or DeliveryMode.LowestPriority && vector < 16)
        {
            RaiseError(SentIllegalVector);
            return;
        }

        // INIT level de-assert only synchronises arbitration IDs, which nobody has any more.
        if (mode == DeliveryMode.Init && (value & 0xC000) == 0x8000)
        {
            return;
        }

        var message = new InterruptMessage(
            mode, vector, LevelTriggered: false, (value & 0x800) != 0, X2Mode ? commandHigh : commandHigh >> 24, X2Mode);
        switch ((value >> 18) & 3)
        {
            case 0:
                bus.Deliver(message);
                break;
            case 1:
                Accept(message);
                break;
            case 2:
                bus.Broadcast(message, except: null);
                break;
            default:
                bus.Broadcast(message, except: this);
                break;
        }
    }

    /// <summary>IA32_APIC_BASE with the transitions SDM vol. 3A figure 10-27 allows.</summary>
    private bool TryWriteBase(ulong value)
    {
        if ((value & reservedBaseBits & ~BootstrapBit) != 0)
        {
            return false;
        }

        const ulong Mode = EnableBit | X2ApicBit;
        ulong from = apicBase & Mode, to = value & Mode;
        bool allowed = to switch
        {
            0 => true,
            EnableBit => from != Mode,
            Mode => from != 0,
            _ => false,
        };
        if (!allowed)
        {
            return false;
        }

        apicBase = (value & ~BootstrapBit) | (apicBase & BootstrapBit);
        if (to == 0 && from != 0)
        {
            // Off loses all state; it comes back as after RESET (SDM vol. 3A §10.4.3).
            ResetRegisters();
        }
        else if (to == Mode && from != Mode)
        {
            logicalDestination = X2LogicalId;
            commandHigh = 0;
        }

        SignalIfPending();
        return true;
    }
}
