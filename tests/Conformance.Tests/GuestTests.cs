using Emulator;
using Guests;

namespace Conformance.Tests;

/// <summary>Every guest of our own does on our machine what it was seen to do elsewhere.</summary>
public sealed class GuestTests
{
    /// <summary>The reset register our own FADT names, and its value.</summary>
    private const ushort ResetPort = 0x60C;

    public static TheoryData<string, Engine> Runs => new(
        from guest in GuestCatalog.All
        where guest.Name != "scribble"
        from engine in Enum.GetValues<Engine>()
        select (guest.Name, engine));

    [Theory]
    [MemberData(nameof(Runs))]
    public void A_guest_says_and_ends_as_the_catalogue_has_it(string name, Engine engine)
    {
        Guest guest = name == "reset-acpi" ? ResetGuests.AcpiRegister(ResetPort, 1) : GuestCatalog.Get(name);
        using GuestRun run = GuestRun.Of(guest, engine: engine);
        MachineExit exit = run.Run();
        Assert.Equal(guest.Output, run.Console);
        Assert.Equal(guest.Reset, exit.Reset);
        if (guest.Reset is null)
        {
            Assert.Equal((MachineExitKind.ExitPort, guest.ExitCode), (exit.Kind, exit.ExitCode));
        }
        else
        {
            Assert.Equal(MachineExitKind.Reset, exit.Kind);
        }
    }

    [Fact]
    public void The_machine_restarts_a_guest_as_often_as_it_resets()
    {
        Guest guest = GuestCatalog.Get("scribble");
        using GuestRun run = GuestRun.Of(guest, 16 << 20);
        string output = "";
        for (int boot = 0; boot < 2; boot++)
        {
            Assert.Equal(guest.Reset, run.Run().Reset);
            Assert.NotNull(run.Machine.ReportInstant);
            output += run.Console;
            run.Restart();
        }

        MachineExit exit = run.Run();
        Assert.Equal((MachineExitKind.ExitPort, guest.ExitCode), (exit.Kind, exit.ExitCode));
        Assert.Equal(guest.Output, output + run.Console);
    }
}
