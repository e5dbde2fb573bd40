using System.Globalization;
using System.IO.Compression;
using System.Text;

namespace Snapshots.Tests.RealTools;

/// <summary>A cpio archive ("newc", kernel Documentation/driver-api/early-userspace/buffer-format.rst) with busybox and one script.</summary>
internal static class Initramfs
{
    public static void Write(string path, string busybox, string initScript)
    {
        using FileStream file = File.Create(path);
        using var gzip = new GZipStream(file, CompressionLevel.Fastest);
        int number = 1;
        foreach (string directory in (string[])["bin", "proc", "sys", "dev", "tmp"])
        {
            Entry(gzip, directory, 0x41ED, [], number++);
        }

        Entry(gzip, "bin/busybox", 0x81ED, File.ReadAllBytes(busybox), number++);
        Entry(gzip, "init", 0x81ED, Encoding.ASCII.GetBytes(initScript), number++);
        Entry(gzip, "TRAILER!!!", 0, [], 0);
    }

    private static void Entry(Stream stream, string name, int mode, byte[] contents, int number)
    {
        int[] fields = [number, mode, 0, 0, 1, 0, contents.Length, 0, 0, 0, 0, name.Length + 1, 0];
        string header = "070701" + string.Concat(fields.Select(f => f.ToString("X8", CultureInfo.InvariantCulture))) + name + "\0";
        Padded(stream, Encoding.ASCII.GetBytes(header));
        Padded(stream, contents);
    }

    private static void Padded(Stream stream, byte[] bytes)
    {
        stream.Write(bytes);
        stream.Write(new byte[-bytes.Length & 3]);
    }
}
