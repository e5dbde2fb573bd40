using System.Diagnostics;

namespace Cli.Tests.Program;

/// <summary>The program as it was built, in one of the two ways; its runs are processes of their own.</summary>
internal sealed class BuiltProgram(string path)
{
    private readonly Dictionary<string, string> environment = [];

    /// <summary>The ordinary build, which lies beside the tests.</summary>
    public static ValueTask<BuiltProgram> OrdinaryAsync() => new(new BuiltProgram(Path.Combine(AppContext.BaseDirectory, "Cli")));

    /// <summary>The native program that scripts/gdbstub makes. Skips the test where there is nothing to link one with.</summary>
    public static async ValueTask<BuiltProgram> NativeAsync() => new(await NativeProgram.PathAsync());

    /// <summary>The same with a variable in its environment.</summary>
    public BuiltProgram With(string name, string value)
    {
        var program = new BuiltProgram(path);
        foreach ((string known, string its) in environment)
        {
            program.environment[known] = its;
        }

        program.environment[name] = value;
        return program;
    }

    /// <summary>Runs it with nothing typed; returns exit code, standard output and standard error.</summary>
    public async Task<(int Code, string Output, string Error)> RunAsync(string arguments)
    {
        using Process process = Start(arguments);
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output, await error);
    }

    /// <summary>Starts it with pipes.</summary>
    public Process Start(string arguments)
    {
        var start = new ProcessStartInfo(path)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        foreach (string argument in arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }
}

/// <summary>Tests of the program as scripts meet it: derived classes say which build.</summary>
public abstract class ProgramTests : IAsyncLifetime
{
    /// <summary>The program.</summary>
    internal BuiltProgram Built { get; private set; } = null!;

    /// <inheritdoc/>
    public async ValueTask InitializeAsync() => Built = await FindAsync();

    /// <inheritdoc/>
    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    /// <summary>Which build.</summary>
    internal abstract ValueTask<BuiltProgram> FindAsync();
}

/// <summary>A directory for one test.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    /// <summary>Where it is.</summary>
    public string Path { get; } = Directory.CreateTempSubdirectory("gdbstub-test-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
