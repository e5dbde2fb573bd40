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

    /// <summary>The text given, or an <see cref="ArgumentException"/>.</summary>
    public string Required(string name) => Text(name) ?? throw new ArgumentException($"{name} is missing");

    /// <summary>The words given, with commas between them, each of which must be among <paramref name="known"/>; all of those without any.</summary>
    public IReadOnlyList<string> Selection(string name, IReadOnlyList<string> known)
    {
        if (Text(name) is not { } text)
        {
            return known;
        }

        string[] chosen = text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        foreach (string word in chosen)
        {
            if (!known.Contains(word))
            {
                throw new ArgumentException($"{name} does not know '{word}'; there are {string.Join(", ", known)}");
            }
        }

        // In the list's order, whatever order they were named in.
        return [.. known.Where(chosen.Contains)];
    }

    /// <summary>The member of an enumeration given by its name in any case, or <paramref name="otherwise"/>.</summary>
    public TChoice Choice<TChoice>(string name, TChoice otherwise)
        where TChoice : struct, Enum
    {
        if (Text(name) is not { } text)
        {
            return otherwise;
        }

        return Enum.TryParse(text, ignoreCase: true, out TChoice choice) && Enum.IsDefined(choice)
            ? choice
            : throw new ArgumentException($"{name} takes one of {string.Join(", ", Enum.GetNames<TChoice>()).ToLowerInvariant()}, not '{text}'");
    }

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
