using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Debugging.Commands;
using Debugging.Images;
using Debugging.Live;
using GdbStub.Targets;

namespace Debugging.Processes;

/// <summary>
/// Serves everything there is at one endpoint, each as a process: the live machine is process 1, the images of a store have the numbers
/// they got when they were first listed. <c>target remote</c> gets the live machine, or the image that was named, or
/// nothing; <c>attach N</c> anything.
/// </summary>
public sealed class ProcessTargetProvider : ITargetProvider, IProcesses
{
    private const int LiveProcess = 1;

    private readonly LiveTargetProvider? live;
    private readonly IImageStore? store;
    private readonly string? image;
    private readonly DebugOptions options;
    private readonly Lock gate = new();
    private readonly Dictionary<string, int> numbers = [];
    private readonly List<string> ids = [];

    /// <param name="runner">The live machine; null when none runs.</param>
    /// <param name="store">The images; null for none.</param>
    /// <param name="image">Without a live machine: the image that a connection gets which asks for none; null for none.</param>
    /// <param name="options">How they are presented. The guest of an image is known by the store.</param>
    public ProcessTargetProvider(MachineRunner? runner, IImageStore? store, string? image, DebugOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        this.store = store;
        this.image = image;
        this.options = options with
        {
            Commands = [.. options.Commands, new MonitorCommand("snapshots", "", "the machines that can be attached to here, with their process numbers", (_, _) => Snapshots())],
        };
        live = runner is null ? null : new LiveTargetProvider(runner, this.options);
    }

    /// <inheritdoc/>
    public IProcesses? Processes => this;

    /// <inheritdoc/>
    public IReadOnlyList<TargetProcess> List
    {
        get
        {
            List<TargetProcess> list = [];
            if (live is not null)
            {
                list.Add(new TargetProcess(LiveProcess, "the live machine", "", Details("", "", "live")));
            }

            foreach (StoredImage stored in store?.List() ?? [])
            {
                string time = stored.Time.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);
                list.Add(new TargetProcess(NumberOf(stored.Id), stored.Title, "", Details(stored.Id, time, stored.Problem is null ? "archived" : "damaged")));
            }

            return list;
        }
    }

    /// <inheritdoc/>
    public bool TryOpen(ITargetEvents events, [NotNullWhen(true)] out IDebugTarget? target, [NotNullWhen(false)] out string? refusal)
    {
        if (live is not null)
        {
            return live.TryOpen(events, out target, out refusal);
        }

        if (image is null)
        {
            target = null;
            refusal = "no machine runs here: use 'target extended-remote', 'info os processes' lists the archived ones, 'attach N' opens one";
            return false;
        }

        bool opened = TryOpenImage(image, events, out target, out TargetError? error);
        refusal = error?.Text ?? "";
        return opened;
    }

    /// <inheritdoc/>
    public bool TryAttach(
        int process, ITargetEvents events, [NotNullWhen(true)] out IDebugTarget? target, [NotNullWhen(false)] out TargetError? error)
    {
        error = null;
        if (live is not null && process == LiveProcess)
        {
            target = live.Open(events, process);
            return true;
        }

        string? id = null;
        lock (gate)
        {
            int index = process - LiveProcess - 1;
            if (index >= 0 && index < ids.Count)
            {
                id = ids[index];
            }
        }

        if (id is null)
        {
            // A client that remembers the number of an earlier listing need not list again.
            _ = List;
            lock (gate)
            {
                int index = process - LiveProcess - 1;
                id = index >= 0 && index < ids.Count ? ids[index] : null;
            }
        }

        if (id is null)
        {
            target = null;
            error = new TargetError(TargetError.NoSuchThread, $"there is no process {process}; 'info os processes' lists them");
            return false;
        }

        return TryOpenImage(id, events, out target, out error);
    }

    private static (string Column, string Value)[] Details(string archive, string time, string state) =>
        [("archive", archive), ("captured", time), ("state", state)];

    private bool TryOpenImage(string id, ITargetEvents events, [NotNullWhen(true)] out IDebugTarget? target, [NotNullWhen(false)] out TargetError? error)
    {
        try
        {
            OpenedImage opened = store?.Open(id) ?? throw new IOException("there is no store");
            target = new MachineTarget(
                new ImageConnection(opened.View, events, options.Resume), options with { Guest = opened.Guest }, NumberOf(id));
            error = null;
            return true;
        }
        catch (Exception exception) when (exception is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            target = null;
            error = new TargetError(TargetError.Failed, exception.Message);
            return false;
        }
    }

    private int NumberOf(string id)
    {
        lock (gate)
        {
            if (!numbers.TryGetValue(id, out int number))
            {
                ids.Add(id);
                number = LiveProcess + ids.Count;
                numbers.Add(id, number);
            }

            return number;
        }
    }

    private string Snapshots()
    {
        var text = new StringBuilder();
        foreach (TargetProcess process in List)
        {
            text.Append(CultureInfo.InvariantCulture, $"{process.Id,3}  {string.Join("  ", process.Details.Select(detail => detail.Value).Where(value => value.Length > 0))}  {process.Name}\n");
        }

        return text.Length == 0 ? "there is nothing here\n" : text.Append("'attach N' opens one, in a session of 'target extended-remote'\n").ToString();
    }
}
