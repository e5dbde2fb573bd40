namespace Bench.Comparison;

/// <summary>
/// A program that is measured under the Debian guest's kernel. The sizes are such that QEMU's TCG takes one to three
/// seconds for each on a machine of 2024.
/// </summary>
/// <param name="Name">As tables and --only have it.</param>
/// <param name="Command">What is measured: a program of ours in /bench or of busybox, with its arguments; a line of shell.</param>
/// <param name="Prepare">What must be done before, not measured; a line of shell.</param>
/// <param name="Result">What it must print, where that is known from elsewhere; else it must only be the same for all.</param>
internal sealed record GuestProgram(string Name, string Command, string Prepare = "", string? Result = null)
{
    private const string Busybox = "/bin/busybox";

    /// <summary>The twelve, in the order they run in.</summary>
    public static IReadOnlyList<GuestProgram> All { get; } =
    [
        new("shell", $"{Busybox} sh -c 'i=0; s=0; while [ $i -lt 120000 ]; do i=$((i + 1)); case $i in *7) s=$((s + i));; esac; done; echo $s'", Result: "720024000"),
        new("sha256sum", $"{Busybox} sha256sum /tmp/data", "head -c 67108864 /dev/zero > /tmp/data",
            "3b6a07d0d404fab4e23b6d34bc6696a6a312dd92821332385e5af7c01c421351  /tmp/data"),
        new("gzip", $"{Busybox} sh -c 'gzip -c < /tmp/text | wc -c'", "/bench/text 9000000 > /tmp/text"),
        new("fork-exec", $"{Busybox} sh -c 'i=0; while [ $i -lt 600 ]; do {Busybox} true; i=$((i + 1)); done; echo $i'", Result: "600"),
        new("syscall", "/bench/syscalls 3000000", Result: "3000000"),
        new("page-fault", "/bench/faults 40", Result: "163840"),
        new("pipe", "/bench/pingpong 30000", Result: "30000"),
        new("pointer-chase", "/bench/chase 20000000"),
        new("integer", "/bench/integer 900"),
        new("call", "/bench/calls 39", Result: "63245986"),
        new("matrix", "/bench/matrix 80"),
        new("memcpy", "/bench/copy 80"),
    ];

    /// <summary>The lines of shell that run it.</summary>
    public string Script => $"{Prepare}\n/bench/measure {Name} {Command}\nrm -f /tmp/data /tmp/text\n";
}
