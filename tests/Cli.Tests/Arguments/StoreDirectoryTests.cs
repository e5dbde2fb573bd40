using Cli.Arguments;

namespace Cli.Tests.Arguments;

public sealed class StoreDirectoryTests
{
    [Theory]
    [InlineData("/a", "/b", "/c", "/d", "/a")]
    [InlineData(null, "/b", "/c", "/d", "/b")]
    [InlineData("", "/b", "/c", "/d", "/b")]
    [InlineData(null, null, "/c", "/d", "/c/gdbstub")]
    [InlineData(null, "", "/c", "/d", "/c/gdbstub")]
    [InlineData(null, null, "relative", "/d", "/d/.local/state/gdbstub")]
    [InlineData(null, null, null, "/d", "/d/.local/state/gdbstub")]
    [InlineData("/a/../b", null, null, null, "/b")]
    public void The_option_goes_before_the_variable_and_the_variable_before_the_XDG_directory(
        string? option, string? variable, string? state, string? home, string directory) =>
        Assert.Equal(directory, StoreDirectory.Resolve(option, Environment(variable, state, home)));

    [Fact]
    public void Without_a_home_the_person_is_told_what_to_give()
    {
        UserError error = Assert.Throws<UserError>(() => StoreDirectory.Resolve(null, Environment(null, null, null)));
        Assert.Contains("--store", error.Message);
    }

    private static Func<string, string?> Environment(string? store, string? state, string? home) => name => name switch
    {
        "GDBSTUB_STORE" => store,
        "XDG_STATE_HOME" => state,
        "HOME" => home,
        _ => null,
    };
}
