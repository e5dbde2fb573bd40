using System.Diagnostics;
using Cli.Commands;
using Emulator;

namespace Cli.Demonstration;

/// <summary>
/// gdbstub demo: a guest panics, its machine is frozen and archived, gdb looks at the frozen machine, the guest starts
/// again, and gdb looks at the archive. Everything is run as a person would run it, by commands of its own.
/// </summary>
internal sealed class Demo
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private readonly Stage stage;
    private readonly string program;
    private readonly string store;
    private readonly Engine engine;
    private readonly DemoGuestFiles guest;
    private readonly bool haveGdb;

    private Demo(Stage stage, string program, string store, Engine engine, DemoGuestFiles guest)
    {
        this.stage = stage;
        this.program = program;
        this.store = store;
        this.engine = engine;
        this.guest = guest;
        haveGdb = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(directory => File.Exists(Path.Combine(directory, "gdb")));
    }

    /// <summary>Shows it all; returns the exit code.</summary>
    public static async Task<int> RunAsync(string store, Engine engine)
    {
        DirectoryInfo scratch = Directory.CreateTempSubdirectory("gdbstub-demo-");
        try
        {
            var stage = new Stage(Console.Out);
            DemoGuestFiles guest = DemoGuestFiles.Find(Environment.GetEnvironmentVariable, scratch.FullName);
            string program = Environment.ProcessPath ?? throw new InvalidOperationException("the program does not know its own file");
            return await new Demo(stage, program, store, engine, guest).PlayAsync();
        }
        finally
        {
            scratch.Delete(recursive: true);
        }
    }

    private async Task<int> PlayAsync()
    {
        stage.Heading("1. A guest boots and panics; its reset is trapped, the machine frozen and archived");
        stage.Say($"The guest is {guest.What}.");
        stage.Say("It panics and then resets, as kernels do. Nothing in it knows of us.");
        if (!haveGdb)
        {
            stage.Say("gdb is not installed (scripts/install-tools demo installs it): what gdb shows is left out.");
        }

        stage.Say("");
        string[] arguments = ["run", .. guest.RunArguments, .. EngineArguments(), "--on-panic", haveGdb ? "freeze" : "reboot", "--gdb", "tcp:127.0.0.1:0", "--store", store];
        stage.Command("gdbstub", arguments);
        var watch = new RunWatch(stage);
        Stopwatch clock = Stopwatch.StartNew();
        using Process? run = Stage.Start(program, arguments, watch.Line);
        if (run is null)
        {
            throw new UserError("there is no /bin/sh to run the demonstration's commands");
        }

        try
        {
            string frozen = "";
            if (haveGdb)
            {
                await watch.FrozenAndArchived(run).WaitAsync(Patience);
                stage.Line("");
                stage.Say($"{clock.Elapsed.TotalSeconds:F0} s after its start the machine stands still, as it was at the resetting instruction.");
                frozen = await LookAtFrozenMachine(watch.Remote!);
            }

            await run.WaitForExitAsync().WaitAsync(Patience);
            stage.Line("");
            return await LookAtArchive(watch, frozen, run.ExitCode);
        }
        catch (TimeoutException)
        {
            throw new UserError($"the guest did not panic within {Patience.TotalMinutes:F0} minutes: run it by hand with the command above");
        }
        finally
        {
            if (!run.HasExited)
            {
                run.Kill();
            }
        }
    }

    private async Task<string> LookAtFrozenMachine(string remote)
    {
        stage.Heading("2. gdb on the live machine, frozen; then the guest starts again");
        string[] look = ["-q", "-batch", "-ex", $"target remote {remote}", .. LookAround()];
        stage.Command("gdb", look);
        List<string> seen = await Watched("gdb", look);
        stage.Say("'monitor reset' starts the guest again. The memory behind ACPI's error store survives a reset,");
        stage.Say("so the guest finds its own last words and, in this demonstration, powers off.");
        stage.Say("");
        await stage.RunAsync("gdb", "gdb", ["-q", "-batch", "-ex", $"target remote {remote}", "-ex", "monitor reset", "-ex", "detach"]);
        return Machine(seen);
    }

    private async Task<int> LookAtArchive(RunWatch watch, string frozen, int exitCode)
    {
        if (watch.ArchiveId is null)
        {
            throw new UserError($"the run ended with exit code {exitCode} and archived nothing: its last lines say why");
        }

        stage.Heading("3. The archive, and gdb on it");
        stage.Say($"The run ended with exit code {exitCode} ({ExitCode.CrashArchived} means that a panic was archived).");
        stage.Say("");
        bool listed = await stage.RunAsync("gdbstub", program, ["ls", "--store", store]) == ExitCode.Success;
        bool whole = await stage.RunAsync("gdbstub", program, ["verify", watch.ArchiveId, "--store", store]) == ExitCode.Success;
        if (haveGdb)
        {
            string[] look = ["debug", watch.ArchiveId, "--store", store, "--", "-batch", .. LookAround()];
            stage.Command("gdbstub", look);
            string archived = Machine(await Watched(program, look));
            stage.Say(archived == frozen && archived.Length != 0
                ? "Line for line what gdb saw on the live machine: registers, code and stack are the same."
                : "Not line for line what gdb saw on the live machine: that is a bug of gdbstub's.");
            whole &= archived == frozen;
        }

        stage.Say("");
        stage.Say($"The archive stays in {store}: 'gdbstub debug latest' opens it again, 'gdbstub show latest' tells all that is known of it.");
        return listed && whole && exitCode == ExitCode.CrashArchived ? ExitCode.Success : ExitCode.Error;
    }

    /// <summary>Runs a debugger, shows what it prints, and returns it.</summary>
    private async Task<List<string>> Watched(string file, IReadOnlyList<string> arguments)
    {
        List<string> seen = [];
        using Process? debugger = Stage.Start(file, arguments, line =>
        {
            seen.Add(line);
            stage.Line(line);
        });
        await debugger!.WaitForExitAsync();
        stage.Line("");
        return seen;
    }

    // What gdb showed of the machine: from the first register to the end of the stack.
    private static string Machine(List<string> seen) => string.Join('\n', seen.SkipWhile(line => !line.StartsWith("rip ", StringComparison.Ordinal))
        .Where(line => !line.StartsWith("[Inferior ", StringComparison.Ordinal)));

    private string[] EngineArguments() => engine == CommonOptions.DefaultEngine ? [] : ["--engine", CommonOptions.Word(engine)];

    /// <summary>What gdb is asked, of the frozen machine and of the archive alike.</summary>
    private string[] LookAround() =>
    [
        "-ex", "monitor info", "-ex", "info registers rip rsp eflags cr2 cr3", "-ex", "x/3i $pc", "-ex", "x/4gx $rsp", "-ex", "bt",
        .. guest.SymbolFile is { } symbols ? (string[])[symbols] : [],
    ];
}
