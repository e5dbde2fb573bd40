using Emulator.Boot;

namespace Cli.Running;

/// <summary>The files a guest is booted from, read once: a restart boots what was booted first.</summary>
/// <param name="Kernel">--kernel.</param>
/// <param name="Initrd">--initrd.</param>
/// <param name="Modules">--module.</param>
internal sealed record BootFiles(ReadOnlyMemory<byte> Kernel, ReadOnlyMemory<byte>? Initrd, IReadOnlyList<BootModule> Modules)
{
    /// <summary>Reads them all. A file that does not even fit the guest's memory is not read.</summary>
    public static BootFiles Read(RunOptions options) => new(
        ReadFile("--kernel", options.Kernel, options.Memory),
        options.Initrd is null ? default(ReadOnlyMemory<byte>?) : ReadFile("--initrd", options.Initrd, options.Memory),
        [.. options.Modules.Select(module => new BootModule(module.Words, ReadFile("--module", module.Path, options.Memory)))]);

    private static ReadOnlyMemory<byte> ReadFile(string option, string path, ulong limit)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            if ((ulong)file.Length > limit)
            {
                throw new UserError($"{option} {path} has {file.Length} bytes, more than the guest's memory: give more --memory");
            }

            if (file.Length == 0)
            {
                throw new UserError($"{option} {path} is empty: give a file that is there to be booted");
            }

            byte[] bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new UserError($"cannot read {option} {path}: {failure.Message}", failure);
        }
    }
}
