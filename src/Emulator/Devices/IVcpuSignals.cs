namespace Emulator.Devices;

/// <summary>What the chipset tells a virtual CPU. All of it takes effect at an instruction boundary the vCPU chooses.</summary>
public interface IVcpuSignals
{
    /// <summary>
    /// <see cref="LocalApic.HasInterrupt"/> has turned true, or may have. It is called for each new request; after
    /// <see cref="LocalApic.Acknowledge"/> and after a write to the APIC the vCPU asks again of its own accord.
    /// </summary>
    void InterruptChanged();

    /// <summary>A non-maskable interrupt: latched by the vCPU, delivered once.</summary>
    void Nmi();

    /// <summary>INIT: the vCPU goes to its INIT state; one that is not the bootstrap processor then waits for <see cref="StartUp"/>. The local APIC has reset itself already.</summary>
    void Init();

    /// <summary>SIPI: starts a waiting vCPU at <paramref name="vector"/> · 4 KiB in real mode; ignored by one that does not wait.</summary>
    void StartUp(byte vector);
}
