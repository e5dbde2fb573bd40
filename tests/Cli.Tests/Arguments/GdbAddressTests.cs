using Cli.Arguments;

namespace Cli.Tests.Arguments;

public sealed class GdbAddressTests
{
    [Theory]
    [InlineData("tcp:127.0.0.1:0", "127.0.0.1:0")]
    [InlineData("tcp:localhost:1234", "127.0.0.1:1234")]
    [InlineData("tcp:[::1]:65535", "[::1]:65535")]
    [InlineData("unix:/run/guest.sock", "/run/guest.sock")]
    [InlineData("stdio", "| program")]
    public void A_place_to_listen_is_understood(string text, string remote)
    {
        Assert.True(GdbAddress.TryParse(text, out var endpoint, out string error), error);
        Assert.Equal(remote, endpoint!.TargetRemote);
    }

    [Fact]
    public void None_is_no_endpoint()
    {
        Assert.True(GdbAddress.TryParse("none", out var endpoint, out _));
        Assert.Null(endpoint);
    }

    [Theory]
    [InlineData("")]
    [InlineData("1234")]
    [InlineData("tcp:1234")]
    [InlineData("tcp::1234")]
    [InlineData("tcp:127.0.0.1:65536")]
    [InlineData("tcp:127.0.0.1:")]
    [InlineData("tcp:example.org:1234")]
    [InlineData("unix:")]
    [InlineData("udp:127.0.0.1:1")]
    public void Anything_else_is_refused_naming_all_forms(string text)
    {
        Assert.False(GdbAddress.TryParse(text, out _, out string error));
        Assert.EndsWith(", or none", error);
    }

    [Fact]
    public void The_default_is_a_private_port_the_system_picks()
    {
        Assert.True(GdbAddress.TryParse(GdbAddress.Default, out var endpoint, out _));
        Assert.Null(GdbAddress.Refuse(endpoint, expose: false));
        Assert.Null(GdbAddress.Warn(endpoint));
    }

    [Theory]
    [InlineData("tcp:127.0.0.1:1", false)]
    [InlineData("tcp:127.1.2.3:1", false)]
    [InlineData("tcp:[::1]:1", false)]
    [InlineData("unix:/x", false)]
    [InlineData("stdio", false)]
    [InlineData("none", false)]
    [InlineData("tcp:0.0.0.0:1", true)]
    [InlineData("tcp:[::]:1", true)]
    [InlineData("tcp:192.168.1.2:1", true)]
    public void Only_what_other_machines_can_reach_is_refused_and_warned_of(string text, bool exposed)
    {
        Assert.True(GdbAddress.TryParse(text, out var endpoint, out _));
        Assert.Equal(exposed, GdbAddress.Refuse(endpoint, expose: false)?.Contains("--gdb-expose") ?? false);
        Assert.Null(GdbAddress.Refuse(endpoint, expose: true));
        Assert.Equal(exposed, GdbAddress.Warn(endpoint) is not null);
    }
}
