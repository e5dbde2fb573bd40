using System.IO.Pipelines;

namespace GdbStub.Sessions;

/// <summary>
/// Standard input and output as a pipe. A thread of its own does the reading, which blocks and cannot be called off;
/// a session that waits in the pipe can be woken for a stop.
/// </summary>
internal sealed class StdioPipe : IDuplexPipe
{
    private readonly Pipe incoming = new(new PipeOptions(useSynchronizationContext: false));
    private readonly Stream input = Console.OpenStandardInput();

    public StdioPipe()
    {
        Output = PipeWriter.Create(Console.OpenStandardOutput());
        new Thread(Read) { IsBackground = true, Name = "gdb stdin" }.Start();
    }

    public PipeReader Input => incoming.Reader;

    public PipeWriter Output { get; }

    private void Read()
    {
        try
        {
            int read;
            while ((read = input.Read(incoming.Writer.GetSpan())) > 0)
            {
                incoming.Writer.Advance(read);
                if (incoming.Writer.FlushAsync().AsTask().GetAwaiter().GetResult().IsCompleted)
                {
                    break;
                }
            }

            incoming.Writer.Complete();
        }
        catch (Exception exception)
        {
            incoming.Writer.Complete(exception);
        }
    }
}
