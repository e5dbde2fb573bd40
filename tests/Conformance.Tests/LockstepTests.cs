using System.Runtime.InteropServices;
using Emulator;
using Emulator.Boot;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Conformance.Tests;

/// <summary>Both engines beside each other: they agree on Debian, and where a translation is wrong, it is found and named.</summary>
public sealed class LockstepTests
{
    private const uint Start = 0x10_0000, Marker = 0x1234_5678;

    [Fact]
    public void Debian_boots_under_both_engines()
    {
        using GuestRun run = GuestRun.Debian(engine: Engine.Both);
        MachineExit exit = run.Machine.Run(400_000_000);
        Assert.Equal(MachineExitKind.Stepped, exit.Kind);
        Assert.Contains("Linux version", run.Console, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3)] // the first time that the instruction is executed
    [InlineData(2_000_000)] // in the third comparison
    public void A_wrong_translation_is_named_with_the_registers(int rounds)
    {
        using var machine = new Machine(new MachineOptions { Engine = Engine.Both, Memory = 16 << 20, ExitPort = true, CodeEmitted = Spoil });
        machine.Boot(new BootRequest { Kernel = Adds(rounds), MemoryMap = [], CommandLine = "", FlatAddress = Start, FlatEntryMode = FlatEntryMode.Long });
        var found = Assert.Throws<EngineDifferenceException>(() => machine.Run(20_000_000));
        Assert.Contains("add ebx,12345678h", found.Message, StringComparison.OrdinalIgnoreCase);
        Assert.Contains($"rbx: interpreter {Marker:x}, translator {Marker + 1:x}", found.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("rcx: interpreter", found.Message[found.Message.IndexOf("Behind", StringComparison.Ordinal)..], StringComparison.Ordinal);
    }

    // Counts down, then adds the marker to zero and leaves.
    private static byte[] Adds(int rounds)
    {
        var a = new Assembler(64);
        Label again = a.CreateLabel();
        a.xor(ebx, ebx);
        a.mov(ecx, rounds);
        a.Label(ref again);
        a.lea(rsi, __[rcx + rcx * 2]);
        a.dec(ecx);
        a.jnz(again);
        a.mov(edx, 5);
        a.add(ebx, Marker);
        a.inc(edx);
        a.mov(al, 1);
        a.@out(0xF4, al);
        using var code = new MemoryStream();
        a.Assemble(new StreamCodeWriter(code), Start);
        return code.ToArray();
    }

    // Adds one to the marker wherever the translator put it.
    private static unsafe void Spoil(nint code, int length)
    {
        var bytes = new Span<byte>((void*)code, length);
        byte[] marker = BitConverter.GetBytes(Marker);
        for (int at = 0; at <= length - 4; at++)
        {
            if (bytes[at..].StartsWith(marker))
            {
                MemoryMarshal.Write(bytes[at..], Marker + 1);
            }
        }
    }
}
