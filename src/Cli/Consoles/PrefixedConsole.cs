using System.Text;

namespace Cli.Consoles;

/// <summary>One of several guests on a shared output: whole lines, each with the machine's name in front; nothing is typed.</summary>
/// <param name="output">What is shared.</param>
/// <param name="name">The machine's name.</param>
internal sealed class PrefixedConsole(OutputBuffer output, string name) : IGuestConsole
{
    private const int LongestLine = 4096;

    private readonly byte[] prefix = Encoding.UTF8.GetBytes($"{name} | ");
    private readonly Lock gate = new();
    private readonly List<byte> line = [];

    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        lock (gate)
        {
            foreach (byte one in bytes)
            {
                if (one == '\n' || line.Count == LongestLine)
                {
                    WriteLine();
                }

                // What would move the cursor would move it through the others' lines.
                if (one is >= 0x20 and not 0x7F or (byte)'\t')
                {
                    line.Add(one);
                }
            }
        }
    }

    /// <inheritdoc/>
    public void Flush()
    {
        lock (gate)
        {
            if (line.Count > 0)
            {
                WriteLine();
            }
        }
    }

    /// <inheritdoc/>
    public void Listen(IConsoleListener listener)
    {
    }

    /// <inheritdoc/>
    public void Dispose() => Flush();

    private void WriteLine()
    {
        output.WriteLines([.. prefix, .. line, (byte)'\n']);
        line.Clear();
    }
}
