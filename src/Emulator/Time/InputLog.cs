using System.Collections.Concurrent;

namespace Emulator.Time;

/// <summary>What comes into a machine from outside.</summary>
public enum InputKind
{
    /// <summary>Bytes received by COM1.</summary>
    Console,

    /// <summary>A break condition on COM1's line.</summary>
    Break,

    /// <summary>A non-maskable interrupt.</summary>
    Nmi,

    /// <summary>The ACPI power button.</summary>
    PowerButton,
}

/// <summary>One input and the instant it entered at.</summary>
/// <param name="InstructionCount">Guest nanoseconds.</param>
/// <param name="Kind">What.</param>
/// <param name="Bytes">Of <see cref="InputKind.Console"/>: the bytes.</param>
public sealed record InputEvent(ulong InstructionCount, InputKind Kind, byte[] Bytes);

/// <summary>
/// The one door for outside input. What other threads post enters at the next stop of the machine and is stamped with
/// the instruction count; the same events scheduled at the same counts make the same machine again.
/// </summary>
public sealed class InputLog
{
    private readonly ConcurrentQueue<(InputKind Kind, byte[] Bytes)> posted = new();
    private readonly Queue<InputEvent> scheduled = new();
    private readonly List<InputEvent> entered = [];

    /// <summary>Everything that entered so far, in order.</summary>
    public IReadOnlyList<InputEvent> Entered => entered;

    /// <summary>The instant of the next scheduled input, or <see cref="EventQueue.Never"/>.</summary>
    public ulong NextScheduled => scheduled.TryPeek(out InputEvent? next) ? next.InstructionCount : EventQueue.Never;

    /// <summary>Hands an input over, to enter soon. Any thread.</summary>
    public void Post(InputKind kind, ReadOnlySpan<byte> bytes = default) => posted.Enqueue((kind, bytes.ToArray()));

    /// <summary>Makes inputs enter at exact instants, ascending; for a replay, before the machine runs.</summary>
    public void Schedule(IEnumerable<InputEvent> events)
    {
        foreach (InputEvent input in events)
        {
            scheduled.Enqueue(input);
        }
    }

    /// <summary>Takes what is due at <paramref name="now"/>, stamped.</summary>
    internal bool TryTake(ulong now, out InputEvent input)
    {
        if (NextScheduled <= now)
        {
            input = scheduled.Dequeue();
        }
        else if (posted.TryDequeue(out (InputKind Kind, byte[] Bytes) next))
        {
            input = new InputEvent(now, next.Kind, next.Bytes);
        }
        else
        {
            input = null!;
            return false;
        }

        entered.Add(input);
        return true;
    }
}
