namespace Cli.Supervision;

/// <summary>What becomes of a machine whose guest crashed, once it is captured.</summary>
internal enum PanicAction
{
    /// <summary>It stays as it is, for a debugger.</summary>
    Freeze,

    /// <summary>The guest is started again at once.</summary>
    Reboot,

    /// <summary>The run ends when the archive is written.</summary>
    Exit,
}
