namespace GuestOs.Linux.Symbols.Elf;
#pragma warning disable CS1591, CA1822

public sealed class SymbolFile { public void WriteTo(Stream s) {} }
internal static class SymbolFileWriter { public static SymbolFile? Write(KernelImage image) => null; }
