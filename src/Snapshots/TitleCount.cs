namespace Snapshots;

/// <summary>Crashes alike, archives that were pruned included.</summary>
/// <param name="Title">Their title.</param>
/// <param name="Count">How many were seen.</param>
/// <param name="First">When the first was captured, by the host's clock.</param>
/// <param name="Last">When the last was captured.</param>
public sealed record TitleCount(string Title, long Count, DateTimeOffset First, DateTimeOffset Last);
