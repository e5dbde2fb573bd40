using System.ComponentModel;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Cli.Host;

/// <summary>
/// The host's terminal. Every call to the host's C library in this assembly is in this directory. Linux on x86-64 (glibc and musl share
/// this termios); source: termios(3), asm-generic/termbits.h.
/// </summary>
internal static partial class Terminal
{
    /// <summary>File descriptors every process begins with.</summary>
    public const int StandardInput = 0, StandardOutput = 1, StandardError = 2;

    private const int Eintr = 4, Eagain = 11;
    private const int TcsaNow = 0;

    // c_iflag
    private const uint Ignbrk = 0x001, Brkint = 0x002, Parmrk = 0x008, Istrip = 0x020, Inlcr = 0x040, Igncr = 0x080, Icrnl = 0x100, Ixon = 0x400;

    // c_lflag
    private const uint Isig = 0x0001, Icanon = 0x0002, Echo = 0x0008, Echonl = 0x0040, Iexten = 0x8000;

    // Indices into c_cc.
    private const int Vtime = 5, Vmin = 6;

    /// <summary>True when the descriptor is a terminal.</summary>
    public static bool IsTerminal(int descriptor) => IsATty(descriptor) == 1;

    /// <summary>
    /// Makes a terminal hand over every key at once, unprinted, Ctrl-C included. Output keeps its processing, so that a
    /// line feed still returns the cursor. Returns the settings to give back to <see cref="Restore"/>.
    /// </summary>
    public static Settings EnterRawMode(int descriptor)
    {
        Check(TcGetAttr(descriptor, out Settings settings), "read the settings of the terminal");
        Settings raw = settings;
        raw.Input &= ~(Ignbrk | Brkint | Parmrk | Istrip | Inlcr | Igncr | Icrnl | Ixon);
        raw.Local &= ~(Isig | Icanon | Echo | Echonl | Iexten);
        raw.Control(Vmin) = 1;
        raw.Control(Vtime) = 0;
        Check(TcSetAttr(descriptor, TcsaNow, raw), "put the terminal into raw mode");
        return settings;
    }

    /// <summary>Gives a terminal its settings back; what cannot be done any more (it was hung up) is let be.</summary>
    public static void Restore(int descriptor, in Settings settings) => _ = TcSetAttr(descriptor, TcsaNow, settings);

    /// <summary>Reads what is there, waiting for the first byte; 0 at the end of input.</summary>
    public static int Read(int descriptor, Span<byte> buffer)
    {
        while (true)
        {
            nint count = Read(descriptor, ref MemoryMarshal.GetReference(buffer), (nuint)buffer.Length);
            int error = count < 0 ? Marshal.GetLastPInvokeError() : 0;
            if (count >= 0)
            {
                return (int)count;
            }

            if (error == Eagain)
            {
                // Somebody who shares the terminal made it non-blocking.
                Thread.Sleep(10);
            }
            else if (error != Eintr)
            {
                return 0;
            }
        }
    }

    private static void Check(int result, string what)
    {
        if (result != 0)
        {
            throw new IOException($"cannot {what}: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");
        }
    }

    [LibraryImport("libc", EntryPoint = "isatty", SetLastError = true)]
    private static partial int IsATty(int descriptor);

    [LibraryImport("libc", EntryPoint = "tcgetattr", SetLastError = true)]
    private static partial int TcGetAttr(int descriptor, out Settings settings);

    [LibraryImport("libc", EntryPoint = "tcsetattr", SetLastError = true)]
    private static partial int TcSetAttr(int descriptor, int actions, in Settings settings);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(int descriptor, ref byte buffer, nuint count);

    /// <summary>struct termios.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Settings
    {
        internal uint Input;
        internal uint Output;
        internal uint Hardware;
        internal uint Local;
        internal byte LineDiscipline;
        internal ControlCharacters Characters;
        internal uint InputSpeed;
        internal uint OutputSpeed;

        [UnscopedRef]
        internal ref byte Control(int index) => ref Characters[index];
    }

    /// <summary>c_cc.</summary>
    [InlineArray(32)]
    internal struct ControlCharacters
    {
        private byte first;
    }
}
