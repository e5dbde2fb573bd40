namespace Emulator.Devices;

/// <summary>
/// The two 8259A of a PC: 16 interrupts, the second chip on the first one's input 2. Ports 20h/21h, A0h/A1h and the
/// edge/level registers 4D0h/4D1h.
/// </summary>
internal sealed class PicPair
{
    private readonly Pic8259 master = new(master: true);
    private readonly Pic8259 slave = new(master: false);
    private readonly Action<bool> outputChanged;
    private bool output;

    /// <summary>The INTR wire goes to <paramref name="outputChanged"/>.</summary>
    public PicPair(Action<bool> outputChanged)
    {
        this.outputChanged = outputChanged;
        MasterPorts = new ChipPorts(this, master);
        SlavePorts = new ChipPorts(this, slave);
        EdgeLevelPorts = new EdgeLevelRegisters(this);
    }

    /// <summary>Two ports at 20h.</summary>
    public IPortDevice MasterPorts { get; }

    /// <summary>Two ports at A0h.</summary>
    public IPortDevice SlavePorts { get; }

    /// <summary>Two ports at 4D0h.</summary>
    public IPortDevice EdgeLevelPorts { get; }

    /// <summary>The INTR wire.</summary>
    public bool Output => output;

    /// <summary>Drives one of the 16 interrupt inputs.</summary>
    public void SetLine(int irq, bool high)
    {
        (irq < 8 ? master : slave).SetLine(irq & 7, high);
        Update();
    }

    /// <summary>The processor's acknowledge: gives the vector, 7 or 15 above the base when the request has gone.</summary>
    public int Acknowledge()
    {
        int input = master.Acknowledge();
        int vector;
        if (input == 2)
        {
            int second = slave.Acknowledge();
            vector = slave.Vector(second < 0 ? 7 : second);
        }
        else
        {
            vector = master.Vector(input < 0 ? 7 : input);
        }

        Update();
        return vector;
    }

    /// <summary>Power-on state; the levels of the inputs are their drivers' business and stay.</summary>
    public void Reset()
    {
        master.Reset();
        slave.Reset();
        Update();
    }

    public PicState Save() => new(Master: master.Save(), Slave: slave.Save(), Output: output);

    public void Load(PicState state)
    {
        master.Load(state.Master);
        slave.Load(state.Slave);
        output = state.Output;
    }

    private void Update()
    {
        master.SetCascade(slave.Output);
        bool now = master.Output;
        if (now != output)
        {
            output = now;
            outputChanged(now);
        }
    }

    private sealed class ChipPorts(PicPair pair, Pic8259 chip) : BytePortDevice
    {
        private protected override byte ReadRegister(int offset)
        {
            byte value = chip.Read(offset);
            pair.Update();
            return value;
        }

        private protected override void WriteRegister(int offset, byte value)
        {
            chip.Write(offset, value);
            pair.Update();
        }
    }

    private sealed class EdgeLevelRegisters(PicPair pair) : BytePortDevice
    {
        private protected override byte ReadRegister(int offset) => (offset == 0 ? pair.master : pair.slave).ReadEdgeLevel();

        private protected override void WriteRegister(int offset, byte value)
        {
            (offset == 0 ? pair.master : pair.slave).WriteEdgeLevel(value);
            pair.Update();
        }
    }
}

/// <summary>Saved state of the two interrupt controllers.</summary>
public sealed record PicState(PicChipState Master, PicChipState Slave, bool Output);
