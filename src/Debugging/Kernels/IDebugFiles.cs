namespace Debugging.Kernels;

/// <summary>A kernel's or a module's debug file on this host.</summary>
/// <param name="Path">Where it is.</param>
/// <param name="BuildId">What it belongs to.</param>
public sealed record DebugFile(string Path, string BuildId);

/// <summary>Finds the debug files of kernels. Any thread may call, and again for the same kernel at no great cost.</summary>
public interface IDebugFiles
{
    /// <summary>The file of exactly this kernel; null when there is none.</summary>
    /// <param name="release">What uname -r says; the guest's word, which may be anything.</param>
    /// <param name="buildId">Its build id in lower-case hexadecimal digits.</param>
    DebugFile? Find(string release, string buildId);

    /// <summary>The file of exactly this module of a kernel; null when there is none.</summary>
    /// <param name="release">What uname -r says.</param>
    /// <param name="name">The module's name, as lsmod shows it; the guest's word too.</param>
    /// <param name="buildId">The module's build id in lower-case hexadecimal digits.</param>
    DebugFile? FindModule(string release, string name, string buildId) => null;

    /// <summary>A file that was named for the purpose; null when none was.</summary>
    string? Named => null;

    /// <summary>Why a file that was named is not used for a kernel of this build id; null when it is, or none was named.</summary>
    string? Complaint(string? buildId) => null;
}
