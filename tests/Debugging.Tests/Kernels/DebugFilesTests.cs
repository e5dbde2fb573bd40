using System.Buffers.Binary;
using Debugging.Kernels;

namespace Debugging.Tests.Kernels;

public sealed class DebugFilesTests : IDisposable
{
    private const string Release = "6.1.0-56-amd64", Id = "3b43fad5034874490492495d552c0af6a5fab235", OtherId = "eb4fbcd037e7253717950bf2b93bd5566f47c56f";

    private readonly string root = Directory.CreateTempSubdirectory("debug-files-").FullName;

    [Theory]
    [InlineData("packages/.build-id/3b/43fad5034874490492495d552c0af6a5fab235.debug")]
    [InlineData("packages/boot/vmlinux-6.1.0-56-amd64")]
    [InlineData("packages/lib/modules/6.1.0-56-amd64/vmlinux")]
    [InlineData("packages/usr/lib/modules/6.1.0-56-amd64/vmlinux")]
    [InlineData("packages/lib/modules/6.1.0-56-amd64/vmlinux.debug")]
    [InlineData("cache/3b43fad5034874490492495d552c0af6a5fab235/debuginfo")]
    [InlineData("named")]
    public void A_file_of_the_kernels_build_id_is_found_where_it_is_usual_and_no_other(string place)
    {
        DebugFiles files = Files();
        Assert.Null(files.Find(Release, Id));
        Write(place, Kernel(OtherId));
        Assert.Null(files.Find(Release, Id));

        // Installed while we run.
        string path = Write(place, Kernel(Id));
        Assert.Equal(new DebugFile(path, Id), files.Find(Release, Id));
        Assert.Null(files.Find(Release, OtherId));
    }

    [Theory]
    [InlineData("packages/.build-id/3b/43fad5034874490492495d552c0af6a5fab235.debug", "loop")]
    [InlineData("packages/lib/modules/6.1.0-56-amd64/kernel/drivers/block/loop.ko", "loop")]
    [InlineData("packages/usr/lib/modules/6.1.0-56-amd64/updates/dm-mod.ko.debug", "dm_mod")]
    [InlineData("cache/3b43fad5034874490492495d552c0af6a5fab235/debuginfo", "loop")]
    [InlineData("lib/modules/6.1.0-56-amd64/loop.ko", "loop")]
    public void A_module_of_a_build_id_is_found_where_it_is_usual_and_beside_the_named_file(string place, string name)
    {
        DebugFiles files = Files();
        Assert.Null(files.FindModule(Release, name, Id));
        string path = Write(place, Kernel(Id));
        Write("packages/lib/modules/6.1.0-56-amd64/kernel/other/" + name + ".ko", Kernel(OtherId));
        Assert.Equal(new DebugFile(path, Id), files.FindModule(Release, name, Id));
        Assert.Null(files.FindModule(Release, name, Id[..^1] + "0"));
        Assert.Null(Files().FindModule("../" + Release, name + "x", Id[..^1] + "1"));
        if (!place.Contains(Id[2..], StringComparison.Ordinal))
        {
            Assert.Null(Files().FindModule(Release, "../" + name, Id));
            Assert.Null(Files().FindModule("../modules/" + Release, name, Id));
        }
    }

    [Theory]
    [InlineData("../../boot/vmlinux-x")]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("x\0y")]
    public void A_release_that_would_lead_elsewhere_leads_nowhere(string release)
    {
        Write("packages/boot/vmlinux-x", Kernel(Id));
        Write("packages/boot/vmlinux-a/b", Kernel(Id));
        Write("boot/vmlinux-x", Kernel(Id));
        Assert.Null(Files().Find(release, Id));
    }

    [Theory]
    [InlineData("")]
    [InlineData("3b")]
    [InlineData("../../../../etc/passwd")]
    [InlineData("3B43FAD5034874490492495D552C0AF6A5FAB235")]
    public void Only_what_is_a_build_id_is_looked_for(string id)
    {
        Write("packages/boot/vmlinux-" + Release, Kernel(Id));
        if (id.Length == 0)
        {
            Assert.Throws<ArgumentException>(() => Files().Find(Release, id));
        }
        else
        {
            Assert.Null(Files().Find(Release, id));
        }
    }

    [Fact]
    public void A_file_that_was_named_is_refused_for_a_reason()
    {
        string path = Path.Combine(root, "named");
        Assert.Contains("there is no file", DebugFiles.Check(path, Id), StringComparison.Ordinal);
        Write("named", "not an ELF file, but long enough to be one as far as its length goes"u8.ToArray());
        Assert.Contains("is not an ELF file", DebugFiles.Check(path, Id), StringComparison.Ordinal);
        Write("named", new ElfWriter().BuildId(Id).Build());
        Assert.Contains("has no debug information", DebugFiles.Check(path, Id), StringComparison.Ordinal);
        Write("named", new ElfWriter().Section(".debug_info", [1]).Build());
        Assert.Contains("has no build id", DebugFiles.Check(path, Id), StringComparison.Ordinal);
        Write("named", Kernel(OtherId));
        string refusal = DebugFiles.Check(path, Id)!;
        Assert.Contains(OtherId, refusal, StringComparison.Ordinal);
        Assert.Contains(Id, refusal, StringComparison.Ordinal);
        Assert.Equal(refusal, Files().Complaint(Id));
        Assert.Null(DebugFiles.Check(path, OtherId));
        Assert.Null(DebugFiles.Check(path, buildId: null));
        Assert.Null(new DebugFiles([], [], null).Complaint(Id));
    }

    [Fact]
    public void Damaged_files_are_no_debug_files()
    {
        byte[] whole = Kernel(Id);
        string path = Path.Combine(root, "named");
        for (int length = 0; length < whole.Length; length += 7)
        {
            File.WriteAllBytes(path, whole[..length]);
            Assert.Null(Files().Find(Release, Id));
        }

        var random = new Random(1);
        for (int i = 0; i < 2000; i++)
        {
            byte[] bytes = [.. whole];
            for (int j = random.Next(1, 5); j > 0; j--)
            {
                BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(random.Next(bytes.Length - 4)), random.Next(3) == 0 ? -1 : random.Next());
            }

            File.WriteAllBytes(path, bytes);
            ElfHeader.TryRead(path);
        }
    }

    public void Dispose() => Directory.Delete(root, recursive: true);

    private static byte[] Kernel(string id) => new ElfWriter().Section(".text", new byte[10], flags: 6).BuildId(id).Section(".debug_info", [1, 2, 3]).Build();

    private DebugFiles Files() => new([Path.Combine(root, "packages")], [Path.Combine(root, "cache")], Path.Combine(root, "named"));

    private string Write(string place, byte[] bytes)
    {
        string path = Path.Combine(root, place);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, bytes);
        return path;
    }
}
