using GdbStub.Targets;

namespace GdbStub.Sessions;

/// <summary>One process that a session has open: the target, and how it stands with it.</summary>
internal sealed class Attachment(GdbSession session) : ITargetEvents
{
    private IReadOnlyList<TargetThread> threads = [];
    private IReadOnlyList<TargetThread> runnable = [];

    /// <summary>The target; set as soon as it is open.</summary>
    public IDebugTarget Target { get; set; } = null!;

    /// <summary>Its process number, as the client says it.</summary>
    public int Process { get; set; } = 1;

    /// <summary>It was resumed and has not reported its stop.</summary>
    public bool Running { get; set; }

    /// <summary>It was asked to stop.</summary>
    public bool Asked { get; set; }

    /// <summary>What its threads were last told; while it runs, and in non-stop mode.</summary>
    public ThreadAction[] Orders { get; set; } = [];

    /// <summary>A stop the client was not told of, because another process stopped first: its next resume ends in it at once.</summary>
    public StopReport? Held { get; set; }

    /// <summary>Non-stop: it was stopped only to be given more orders.</summary>
    public bool Merging { get; set; }

    /// <summary>Non-stop: threads stopped by vCont;t, whose stop has no signal.</summary>
    public bool StoppedQuietly { get; set; }

    /// <summary>A range the session steps through for a target that cannot: the order with the range, null when there is none.</summary>
    public ThreadAction? Range { get; set; }

    /// <summary>Addresses of its breakpoints, which end a range step.</summary>
    public HashSet<(BreakpointKind Kind, ulong Address)> Breakpoints { get; } = [];

    /// <summary>True when registers and memory can be had.</summary>
    public bool Readable => !Running || Target.ReadableWhileRunning;

    /// <summary>
    /// Its threads; as they were when it last stood still, if it runs and cannot be looked at. In non-stop mode, where a client
    /// keeps account of what each thread was told, only those that can be told anything.
    /// </summary>
    public IReadOnlyList<TargetThread> Threads => session.NonStop ? RunnableThreads : Readable ? threads = Target.Threads : threads;

    /// <summary>Those that take orders to run.</summary>
    public IReadOnlyList<TargetThread> RunnableThreads => Readable ? runnable = Target.RunnableThreads : runnable;

    /// <inheritdoc/>
    public void Stopped(StopReport report) => session.Enqueue(new TargetEvent(this, report, null));

    /// <inheritdoc/>
    public void Output(ReadOnlySpan<byte> text) => session.EnqueueOutput(this, text);

    /// <summary>True when it has that thread.</summary>
    public bool HasThread(int thread) => CanRun(thread) || Contains(Threads, thread);

    /// <summary>True when it has that thread, and the thread takes orders to run.</summary>
    public bool CanRun(int thread) => Contains(RunnableThreads, thread);

    private static bool Contains(IReadOnlyList<TargetThread> threads, int thread)
    {
        foreach (TargetThread one in threads)
        {
            if (one.Id == thread)
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>What a target said: a stop, or text.</summary>
internal readonly record struct TargetEvent(Attachment Source, StopReport? Report, byte[]? Text);
