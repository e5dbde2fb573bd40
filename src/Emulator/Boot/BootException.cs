namespace Emulator.Boot;

/// <summary>
/// A kernel, an initrd or a module cannot be booted as asked. The message names the field, the value found and the limit
/// it breaks; it is meant for the person who chose the file.
/// </summary>
public sealed class BootException(string message) : Exception(message);
