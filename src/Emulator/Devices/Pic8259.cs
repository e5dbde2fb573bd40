namespace Emulator.Devices;

/// <summary>
/// One 8259A. An edge is latched until it is acknowledged, as the controllers inside chipsets do it; a level request
/// that goes away before its acknowledge gives the spurious interrupt 7.
/// Source: Intel 8259A data sheet (order number 231468); edge/level register: 82371SB (PIIX3) data sheet §2.5.1.
/// </summary>
internal sealed class Pic8259(bool master)
{
    // Where the slave's output arrives at the master (PC AT).
    private const byte CascadeBit = 4;

    private byte requests;
    private byte inService;
    private byte mask;
    private byte lines;
    private byte edgeLevel;
    private byte vectorBase;
    private byte lowestPriority;
    private byte initStep;
    private byte cascade;
    private bool expectIcw4;
    private bool single;
    private bool levelTriggered;
    private bool autoEoi;
    private bool rotateOnAutoEoi;
    private bool specialFullyNested;
    private bool specialMask;
    private bool readInService;
    private bool poll;

    /// <summary>The INT pin.</summary>
    public bool Output => initStep == 0 && HighestRequest() >= 0;

    private byte LevelMask => levelTriggered ? (byte)0xFF : edgeLevel;

    /// <summary>The request of the other chip, on the master's IR2: not latched, it is the slave's own output.</summary>
    public void SetCascade(bool requested) => cascade = requested ? CascadeBit : (byte)0;

    /// <summary>Drives an IR input.</summary>
    public void SetLine(int input, bool high)
    {
        byte bit = (byte)(1 << input);
        if (high)
        {
            if ((LevelMask & bit) != 0 || (lines & bit) == 0)
            {
                requests |= bit;
            }

            lines |= bit;
        }
        else
        {
            lines &= (byte)~bit;
            if ((LevelMask & bit) != 0)
            {
                requests &= (byte)~bit;
            }
        }
    }

    /// <summary>The INTA cycles: the input served, or -1 when the request has gone (the caller sees input 7 then).</summary>
    public int Acknowledge()
    {
        int input = HighestRequest();
        if (input < 0)
        {
            return -1;
        }

        byte bit = (byte)(1 << input);
        if (autoEoi)
        {
            if (rotateOnAutoEoi)
            {
                lowestPriority = (byte)input;
            }
        }
        else
        {
            inService |= bit;
        }

        if ((LevelMask & bit) == 0)
        {
            requests &= (byte)~bit;
        }

        return input;
    }

    /// <summary>The vector of an input (ICW2).</summary>
    public int Vector(int input) => vectorBase | input;

    public byte Read(int offset)
    {
        if (poll)
        {
            poll = false;
            int input = Acknowledge();
            return input < 0 ? (byte)0 : (byte)(0x80 | input);
        }

        return offset == 1 ? mask : readInService ? inService : (byte)(requests | cascade);
    }

    public void Write(int offset, byte value)
    {
        if (offset == 0)
        {
            if ((value & 0x10) != 0)
            {
                BeginInitialization(value);
            }
            else if ((value & 0x08) != 0)
            {
                WriteOcw3(value);
            }
            else
            {
                WriteOcw2(value);
            }

            return;
        }

        switch (initStep)
        {
            case 2:
                vectorBase = (byte)(value & 0xF8);
                initStep = single ? (byte)(expectIcw4 ? 4 : 0) : (byte)3;
                break;
            case 3:
                // ICW3 tells the cascade's wiring, which is fixed here.
                initStep = expectIcw4 ? (byte)4 : (byte)0;
                break;
            case 4:
                autoEoi = (value & 2) != 0;
                specialFullyNested = (value & 0x10) != 0;
                initStep = 0;
                break;
            default:
                mask = value;
                break;
        }
    }

    public byte ReadEdgeLevel() => edgeLevel;

    public void WriteEdgeLevel(byte value)
    {
        // IRQ 0, 1, 2, 8 and 13 cannot be level.
        edgeLevel = (byte)(value & (master ? 0xF8 : 0xDE));
        requests = (byte)((requests & ~LevelMask) | (lines & LevelMask));
    }

    public void Reset()
    {
        requests = inService = mask = edgeLevel = vectorBase = initStep = 0;
        lowestPriority = 7;
        expectIcw4 = single = levelTriggered = autoEoi = rotateOnAutoEoi = false;
        specialFullyNested = specialMask = readInService = poll = false;
    }

    public PicChipState Save() => new(
        Requests: requests,
        InService: inService,
        Mask: mask,
        Lines: lines,
        EdgeLevel: edgeLevel,
        VectorBase: vectorBase,
        LowestPriority: lowestPriority,
        InitStep: initStep,
        Cascade: cascade,
        ExpectIcw4: expectIcw4,
        Single: single,
        LevelTriggered: levelTriggered,
        AutoEoi: autoEoi,
        RotateOnAutoEoi: rotateOnAutoEoi,
        SpecialFullyNested: specialFullyNested,
        SpecialMask: specialMask,
        ReadInService: readInService,
        Poll: poll);

    public void Load(PicChipState state)
    {
        requests = state.Requests;
        inService = state.InService;
        mask = state.Mask;
        lines = state.Lines;
        edgeLevel = state.EdgeLevel;
        vectorBase = state.VectorBase;
        lowestPriority = (byte)(state.LowestPriority & 7);
        initStep = state.InitStep;
        cascade = state.Cascade;
        expectIcw4 = state.ExpectIcw4;
        single = state.Single;
        levelTriggered = state.LevelTriggered;
        autoEoi = state.AutoEoi;
        rotateOnAutoEoi = state.RotateOnAutoEoi;
        specialFullyNested = state.SpecialFullyNested;
        specialMask = state.SpecialMask;
        readInService = state.ReadInService;
        poll = state.Poll;
    }

    private int HighestRequest()
    {
        int wanted = (requests | cascade) & ~mask;
        int blocking = specialMask ? inService & ~mask : inService;
        for (int i = 1; wanted != 0 && i <= 8; i++)
        {
            int input = (lowestPriority + i) & 7;
            int bit = 1 << input;
            if ((blocking & bit) != 0)
            {
                // Special fully nested mode: a master that serves the slave still takes its more urgent requests.
                return specialFullyNested && master && bit == CascadeBit && (wanted & bit) != 0 ? input : -1;
            }

            if ((wanted & bit) != 0)
            {
                return input;
            }
        }

        return -1;
    }

    private void BeginInitialization(byte value)
    {
        // Data sheet, "Initialization Command Words": edge sense, mask, priorities, special mask mode and status read are reset.
        expectIcw4 = (value & 1) != 0;
        single = (value & 2) != 0;
        levelTriggered = (value & 8) != 0;
        requests = (byte)(lines & LevelMask);
        mask = 0;
        inService = 0;
        lowestPriority = 7;
        specialMask = readInService = poll = rotateOnAutoEoi = false;
        if (!expectIcw4)
        {
            autoEoi = specialFullyNested = false;
        }

        initStep = 2;
    }

    private void WriteOcw2(byte value)
    {
        int input = value & 7;
        switch (value >> 5)
        {
            case 0:
                rotateOnAutoEoi = false;
                break;
            case 4:
                rotateOnAutoEoi = true;
                break;
            case 1:
                EndHighest(rotate: false);
                break;
            case 5:
                EndHighest(rotate: true);
                break;
            case 3:
                inService &= (byte)~(1 << input);
                break;
            case 7:
                inService &= (byte)~(1 << input);
                lowestPriority = (byte)input;
                break;
            case 6:
                lowestPriority = (byte)input;
                break;
        }
    }

    private void EndHighest(bool rotate)
    {
        // A masked level in special mask mode is not cleared by a non-specific EOI.
        int candidates = specialMask ? inService & ~mask : inService;
        for (int i = 1; i <= 8; i++)
        {
            int input = (lowestPriority + i) & 7;
            if ((candidates & (1 << input)) != 0)
            {
                inService &= (byte)~(1 << input);
                if (rotate)
                {
                    lowestPriority = (byte)input;
                }

                return;
            }
        }
    }

    private void WriteOcw3(byte value)
    {
        poll = (value & 4) != 0;
        if ((value & 2) != 0)
        {
            readInService = (value & 1) != 0;
        }

        if ((value & 0x40) != 0)
        {
            specialMask = (value & 0x20) != 0;
        }
    }
}

/// <summary>Saved state of one 8259A.</summary>
public sealed record PicChipState(
    byte Requests,
    byte InService,
    byte Mask,
    byte Lines,
    byte EdgeLevel,
    byte VectorBase,
    byte LowestPriority,
    byte InitStep,
    byte Cascade,
    bool ExpectIcw4,
    bool Single,
    bool LevelTriggered,
    bool AutoEoi,
    bool RotateOnAutoEoi,
    bool SpecialFullyNested,
    bool SpecialMask,
    bool ReadInService,
    bool Poll);
