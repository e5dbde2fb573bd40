using System.Text;
using Cli.Consoles;

namespace Cli.Tests.Consoles;

public sealed class OutputBufferTests
{
    [Fact]
    public void Bytes_arrive_in_order_however_they_were_cut()
    {
        using var destination = new MemoryStream();
        byte[] bytes = new byte[20_000];
        new Random(1).NextBytes(bytes);
        using (var buffer = new OutputBuffer(destination))
        {
            for (int start = 0, part = 1; start < bytes.Length; start += part, part = (part * 7 % 6000) + 1)
            {
                buffer.Write(bytes.AsSpan(start, Math.Min(part, bytes.Length - start)));
            }
        }

        Assert.Equal(bytes, destination.ToArray());
    }

    [Theory]
    [InlineData("", "{}\n")]
    [InlineData("login: ", "login: \n{}\n")]
    [InlineData("done\n", "done\n{}\n")]
    public void Lines_of_ours_begin_on_a_line_of_their_own(string before, string all)
    {
        using var destination = new MemoryStream();
        using var buffer = new OutputBuffer(destination);
        buffer.Write(Encoding.ASCII.GetBytes(before));
        buffer.WriteLines("{}\n"u8);
        Assert.Equal(all, Encoding.ASCII.GetString(destination.ToArray()));
    }

    [Fact]
    public void A_reader_that_went_away_is_forgotten()
    {
        using var buffer = new OutputBuffer(new BrokenPipe());
        buffer.WriteLines("first\n"u8);
        buffer.WriteLines("second\n"u8);
    }

    private sealed class BrokenPipe : MemoryStream
    {
        private int writes;

        public override void Write(byte[] buffer, int offset, int count)
        {
            Assert.Equal(1, ++writes);
            throw new IOException("Broken pipe");
        }
    }
}
