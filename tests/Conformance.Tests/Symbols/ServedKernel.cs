using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Debugging;
using Debugging.Kernels;
using Debugging.Tests;
using Emulator;
using GdbStub.Sessions;
using GuestOs.Linux;
using GuestOs.Linux.Symbols;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conformance.Tests.Symbols;

/// <summary>An image served with the symbols of its kernel, as the program serves it, and what debuggers print of it.</summary>
internal sealed partial class ServedKernel : IGuestInformation, IAsyncDisposable
{
    private readonly GdbListener listener;

    private ServedKernel(Func<IMachineView> open, KernelSymbols kernels) => listener = GdbListener.Start(
        new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new ImageTargetProvider(open, new DebugOptions { Guest = this, Kernels = kernels }), NullLogger.Instance);

    /// <summary>What gdb's target remote wants.</summary>
    public string Address => listener.Endpoint.TargetRemote;

    public static ServedKernel Start(Func<IMachineView> open, KernelSymbols? kernels = null) => new(open, kernels ?? new KernelSymbols());

    public string? KernelLog(IMachineView view) => null;

    public string? Describe(IMachineView view) => null;

    public ulong? TextSegment(IMachineView view) => LinuxKernel.FindRunning(view) is { } kernel && kernel.Info.TryGetSymbol("_stext", out ulong text) ? text : null;

    /// <summary>gdb without any file, or with the one in <paramref name="file"/>: connects, runs the commands, and what it printed.</summary>
    public Task<string> GdbAsync(string[] commands, string? file = null)
    {
        GdbProcess.Require();
        string[] all = ["set pagination off", "set width 0", "set confirm off", $"target remote {Address}", .. commands];
        return GdbProcess.StartAsync("gdb", ["-nx", "-batch", .. all.SelectMany(command => new[] { "-ex", command }), .. file is null ? Array.Empty<string>() : [file]]);
    }

    /// <summary>Each frame of a backtrace, a signal's as that word.</summary>
    public static string[] Frames(string text) =>
        [.. Frame().Matches(text).Select(match => match.Groups[1].Success ? match.Groups[1].Value.TrimStart('0').PadLeft(1, '0') : "signal")];

    /// <summary>The same of what we found ourselves; for an interrupt's entry gdb says that it is one.</summary>
    public static string[] Frames(IEnumerable<StackFrame> stack) =>
        [.. stack.Select(frame => frame.Symbol?.StartsWith("asm_", StringComparison.Ordinal) == true ? "signal" : frame.Pc.ToString("x", CultureInfo.InvariantCulture))];

    /// <summary>What thread apply all bt printed, by thread number.</summary>
    public static Dictionary<int, string[]> Stacks(string output)
    {
        var stacks = new Dictionary<int, string[]>();
        MatchCollection heads = ThreadHead().Matches(output);
        for (int i = 0; i < heads.Count; i++)
        {
            int end = i + 1 < heads.Count ? heads[i + 1].Index : output.Length;
            stacks.Add(int.Parse(heads[i].Groups[1].Value, CultureInfo.InvariantCulture), Frames(output[heads[i].Index..end]));
        }

        return stacks;
    }

    public ValueTask DisposeAsync() => listener.DisposeAsync();

    [GeneratedRegex(@"^#\d+ +(?:0x([0-9a-f]+) in |<signal)", RegexOptions.Multiline)]
    private static partial Regex Frame();

    [GeneratedRegex(@"^Thread \d+ \(Thread \d+\.(\d+) ", RegexOptions.Multiline)]
    private static partial Regex ThreadHead();
}
