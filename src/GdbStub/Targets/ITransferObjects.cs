namespace GdbStub.Targets;

/// <summary>
/// Objects of the target that a client reads by name (<c>qXfer:NAME:read</c>): <c>vmcoreinfo</c>, <c>auxv</c>,
/// <c>libraries-svr4</c> and the like. Those the stub makes itself (features, threads, memory-map, exec-file, osdata) are not asked for.
/// </summary>
public interface ITransferObjects
{
    /// <summary>The names offered now; announced when the client asks what is supported.</summary>
    IReadOnlyList<string> Names { get; }

    /// <summary>
    /// An object's bytes; null when there is none of that annex (not a null array: C# makes an empty object of it). Asked at
    /// offset 0 and then kept until the transfer ends, so that its pieces fit together.
    /// </summary>
    ReadOnlyMemory<byte>? Read(string name, string annex);
}

/// <summary>A table of <c>info os</c>.</summary>
/// <param name="Columns">Their names.</param>
/// <param name="Rows">As many cells each as there are columns.</param>
public sealed record SystemTable(IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows);

/// <summary>What a table is called.</summary>
/// <param name="Name">What is typed behind <c>info os</c>.</param>
/// <param name="Title">A few words.</param>
/// <param name="Description">A line.</param>
public readonly record struct SystemTableName(string Name, string Title, string Description);

/// <summary>Tables of an operating system or of whatever holds the processes (<c>info os</c>, qXfer:osdata).</summary>
public interface ISystemTables
{
    /// <summary>Which there are.</summary>
    IReadOnlyList<SystemTableName> Names { get; }

    /// <summary>One, as it is now; null when there is none of that name.</summary>
    SystemTable? Read(string name);
}

/// <summary>Where a program lies whose symbol file says otherwise.</summary>
public interface IRelocation
{
    /// <summary>
    /// The address its text was loaded at, which moves all its sections together (qOffsets, TextSeg); null when it lies where the file says or that is not known.
    /// </summary>
    ulong? TextSegment { get; }
}

/// <summary>Symbols the debugger can look up (qSymbol).</summary>
public interface ISymbolRequests
{
    /// <summary>Names worth asking the debugger for, asked when it has new symbols.</summary>
    IReadOnlyList<string> Wanted { get; }

    /// <summary>The debugger's answer; null when it has no such symbol.</summary>
    void Found(string name, ulong? address);
}
