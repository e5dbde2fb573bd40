using System.Globalization;

namespace Bench;

/// <summary>A measurement could not be taken; the message says which and why.</summary>
internal sealed class BenchmarkException(string message) : Exception(message);

/// <summary>Options of the form <c>--name value</c>.</summary>
internal sealed class Arguments
{
    private readonly Dictionary<string, string> values = [];

    /// <summary>Takes the options in <paramref name="allowed"/> and throws <see cref="ArgumentException"/> for anything else.</summary>
    public static Arguments Parse(ReadOnlySpan<string> words, params ReadOnlySpan<string> allowed)
    {
        var arguments = new Arguments();
        for (int i = 0; i < words.Length; i += 2)
        {
            if (!allowed.Contains(words[i]) || i + 1 == words.Length)
            {
                throw new ArgumentException($"'{words[i]}' is no option with a value here; there are {string.Join(", ", allowed!)}");
            }

            arguments.values[words[i]] = words[i + 1];
        }

        return arguments;
    }

    /// <summary>The text given, or null.</summary>
    public string? Text(string name) => values.GetValueOrDefault(name);

    /// <summary>The number given, which must be in range, or <paramref name="otherwise"/>.</summary>
    public int Number(string name, int otherwise, int least, int most)
    {
        if (!values.TryGetValue(name, out string? text))
        {
            return otherwise;
        }

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most
            ? number
            : throw new ArgumentException($"{name} takes a number from {least} to {most}, not '{text}'");
    }
}
