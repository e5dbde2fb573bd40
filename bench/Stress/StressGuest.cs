using System.Text;
using Guests;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Bench.Stress;

/// <summary>A stretch of a guest's work: so many units of one kind, at one size.</summary>
/// <param name="Kind">What is done.</param>
/// <param name="Size">The number that grows.</param>
/// <param name="Units">By which the time is divided.</param>
internal sealed record Stage(string Kind, long Size, long Units)
{
    /// <summary>Its name in a mark.</summary>
    public string Name => $"{Kind}:{Size}";
}

/// <summary>
/// A guest of 64-bit code at privilege 0, with interrupts off and 4 GiB mapped to themselves, that does one thing in
/// growing numbers and marks where each stage begins and ends.
/// </summary>
internal sealed class StressGuest(string name, string unit)
{
    /// <summary>RAM below this is the program's; what a stage writes lies above.</summary>
    public const uint FreeMemory = 0x20_0000;

    // Executed before the end, so that whoever listens can look at the process while it is still there.
    private const uint LastDelay = 50_000_000;

    private readonly LongModeProgram program = new(name);
    private readonly List<Stage> stages = [];

    /// <summary>As tables and --only have it.</summary>
    public string Name => name;

    /// <summary>What a unit is, for people.</summary>
    public string Unit => unit;

    /// <summary>In the order they run.</summary>
    public IReadOnlyList<Stage> Stages => stages;

    /// <summary>For code between the marks. RAX is lost at a mark; R14 and R15 belong to the exception handler.</summary>
    public Assembler Code => program.Code;

    /// <summary>For code in pages of its own, from <see cref="LongModeProgram.Extra"/> on.</summary>
    public MemoryImage Image => program.Image;

    /// <summary>Adds a stage: <paramref name="work"/> writes its code.</summary>
    public void Add(Stage stage, Action<Assembler> work)
    {
        stages.Add(stage);
        Mark($"begin {stage.Name}\n");
        work(Code);
        Mark($"end {stage.Name} 0 -\n");
    }

    /// <summary>The whole, as a Multiboot kernel.</summary>
    public Guest ToGuest()
    {
        Label wait = Code.CreateLabel();
        Code.mov(ecx, LastDelay);
        Code.Label(ref wait);
        Code.dec(ecx);
        Code.jnz(wait);
        return program.ToGuest($"time a {unit}", "");
    }

    private void Mark(string text)
    {
        foreach (byte value in Encoding.ASCII.GetBytes(text))
        {
            Code.mov(al, value);
            Code.@out(0xE9, al);
        }
    }
}
