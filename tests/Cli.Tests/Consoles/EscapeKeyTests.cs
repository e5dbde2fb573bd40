using System.Text;
using Cli.Consoles;

namespace Cli.Tests.Consoles;

public sealed class EscapeKeyTests
{
    // D is a byte for the guest; the other letters are the meanings' initials, . is "pending".
    [Theory]
    [InlineData("abc", "DDD")]
    [InlineData("\x01x", ".Q")]
    [InlineData("\x01X", ".Q")]
    [InlineData("\x01" + "c", ".M")]
    [InlineData("\x01" + "b", ".B")]
    [InlineData("\x01h", ".H")]
    [InlineData("\x01?", ".H")]
    [InlineData("\x01z", ".U")]
    [InlineData("\x01\x01", ".D")]
    [InlineData("\x01\x01x", ".DD")]
    [InlineData("x\x01xx", "D.QD")]
    [InlineData("\x01zx", ".UD")]
    [InlineData("\x03\x04\x1a\x1c", "DDDD")]
    [InlineData("\0\x7f\r\n", "DDDD")]
    public void The_escape_key_and_a_letter_are_ours_and_all_else_is_the_guests(string typed, string meanings)
    {
        var escape = new EscapeKey();
        var found = new StringBuilder();
        foreach (byte key in Encoding.Latin1.GetBytes(typed))
        {
            KeyMeaning meaning = escape.Feed(key);
            found.Append(meaning == KeyMeaning.Pending ? '.' : meaning.ToString()[0]);
        }

        Assert.Equal(meanings, found.ToString());
    }
}
