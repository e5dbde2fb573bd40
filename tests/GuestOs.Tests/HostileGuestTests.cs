using GuestOs.Linux;

namespace GuestOs.Tests;

/// <summary>Guests whose memory was spoiled at random: whatever stands there, an answer comes, and it stays small.</summary>
public sealed class HostileGuestTests
{
    private const string Seed = "0000KOIPe9X3";

    [Fact]
    public void A_spoiled_guest_gets_a_verdict()
    {
        GuestImage whole = Round();
        ulong[] pages = [.. whole.Pages.Keys.Order()];
        Gen<(int Page, int Offset, byte[] Bytes)> spoil = Gen.Select(Gen.Int[0, pages.Length - 1], Gen.Int[0, 4095], Bytes());
        Each(
            Gen.Select(spoil.Array[1, 12], Gen.OneOf("acpi", "triple", "report", "halted", "paused", "poweroff")),
            1000,
            one =>
            {
                ((int Page, int Offset, byte[] Bytes)[] spoils, string end) = one;
                GuestImage image = Copy(whole);
                foreach ((int page, int offset, byte[] bytes) in spoils)
                {
                    image.Write((pages[page] * GuestImage.PageSize) + (ulong)offset, bytes);
                }

                TrapVerdict verdict = TrapAnalyzer.Analyze(image, TrapAnalyzerTests.Exit(end), TrapAnalyzerTests.Evidence("oops"));
                return verdict.Summary.Length > 0 && (verdict.Report?.Log.Length ?? 0) <= PrintkLog.MaxTextBytes;
            });
    }

    [Fact]
    public void Offsets_of_any_value_lead_nowhere()
    {
        var original = new GuestImage();
        string text = new SyntheticKernel(original).WithLog((0, 6, "x")).VmCoreInfoText();
        string[] lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Each(
            Gen.Select(Gen.Int[1, lines.Length - 1], Gen.Int[1, lines.Length - 1], Gen.ULong, Gen.OneOf("d", "x"), Gen.Bool),
            2000,
            one =>
            {
                (int first, int second, ulong value, string format, bool small) = one;
                string[] spoiled = [.. lines];
                ulong number = small ? value & 0xFFFF : value;
                foreach (int at in new[] { first, second })
                {
                    string key = spoiled[at][..spoiled[at].IndexOf('=', StringComparison.Ordinal)];
                    spoiled[at] = key + "=" + number.ToString(format, System.Globalization.CultureInfo.InvariantCulture);
                }

                GuestImage image = Copy(original);
                var kernel = new SyntheticKernel(image);
                kernel.WithVmCoreInfo(string.Join('\n', spoiled) + "\n");
                image.Cpus.Add(GuestImage.LongMode(kernel.Cr3, kernel.Text));
                LinuxKernel? found = LinuxKernel.Find(image);
                PrintkLog? log = found?.Log;
                return log is null || log.Records.Count <= PrintkLog.MaxRecords;
            });
    }

    [Fact]
    public void An_error_record_of_any_bytes_is_parsed_or_refused()
    {
        byte[] whole = CperWriter.Compressed("Panic#1 Part1\n<0>[    1.000000] Kernel panic - not syncing: x\n" + new string('y', 4000));
        Each(
            Gen.Select(Gen.Int[0, whole.Length - 1], Bytes(), Gen.Int[0, whole.Length]).Array[1, 6],
            20_000,
            spoils =>
            {
                byte[] bytes = [.. whole];
                int length = bytes.Length;
                foreach ((int at, byte[] part, int cut) in spoils)
                {
                    part.AsSpan(0, Math.Min(part.Length, bytes.Length - at)).CopyTo(bytes.AsSpan(at));
                    length = cut % 3 == 0 ? Math.Min(length, cut) : length;
                }

                return !ErstRecord.TryParse(bytes.AsSpan(0, length), out ErstRecord? record, out string? error)
                    ? error.Length > 0
                    : record.Text.Length <= ErstRecord.MaxTextBytes * 4 && KernelDump.Join([record]).Count <= 1;
            });
    }

    [Fact]
    public void A_dump_of_any_text_is_joined()
    {
        Gen<string> line = Gen.OneOf(Gen.String[0, 30], Gen.OneOf("<6>[    1.000000] x", "<0>", "[", "<", "<6>[", "<6>[ 1.2]", "<6>[1.000001][T1] y", "<6>[ 1.000001][", ">"));
        Each(
            Gen.Select(Gen.OneOf("Panic#1 Part1", "Oops#2 Part2", "#", "Panic#", "Panic# Part"), line.Array[0, 20]),
            5000,
            one =>
            {
                (string header, string[] lines) = one;
                Assert.True(ErstRecord.TryParse(CperWriter.Plain(header + "\n" + string.Join('\n', lines)), out ErstRecord? record, out _));
                return KernelDump.Join([record]).All(dump => dump.ToText().Length < 4000);
            });
    }

    // A seed given to Sample holds for its first iteration only; drawing all cases in that one keeps every run the same.
    private static void Each<T>(Gen<T> cases, int count, Func<T, bool> holds)
    {
        int index = -1;
        try
        {
            cases.Array[count].Sample(
                all =>
                {
                    foreach (T one in all)
                    {
                        index++;
                        Assert.True(holds(one));
                    }
                },
                seed: Seed, iter: 1, threads: 1);
        }
        catch (CsCheckException failure)
        {
            Assert.Fail($"case {index} of {count}: {failure.InnerException ?? failure}");
        }

        Assert.Equal(count - 1, index);
    }

    private static Gen<byte[]> Bytes() => Gen.OneOf(
        Gen.Byte.Array[1, 16],
        Gen.OneOf<byte[]>([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0, 0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0x7F], [0, 0, 0, 0x80], [31, 0, 0, 0], [26, 0, 0, 0]));

    // A small ring that has gone round, so that spoiling hits what is looked at.
    private static GuestImage Round()
    {
        var image = new GuestImage();
        var kernel = new SyntheticKernel(image);
        var ring = new RingWriter(5, 10);
        for (int i = 0; i < 100; i++)
        {
            ring.Add($"message {i}", (byte)(i & 1), 6, (ulong)i);
        }

        ring.Add("Kernel panic - not syncing: x", 0, 0);
        ring.WriteTo(kernel, image);
        kernel.WithVmCoreInfo();
        image.Cpus.Add(GuestImage.LongMode(kernel.Cr3, kernel.Text));
        return image;
    }

    private static GuestImage Copy(GuestImage image)
    {
        var copy = new GuestImage();
        foreach ((ulong number, byte[] page) in image.Pages)
        {
            copy.Pages[number] = [.. page];
        }

        copy.Cpus.AddRange(image.Cpus);
        return copy;
    }
}
