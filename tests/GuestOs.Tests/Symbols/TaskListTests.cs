using GuestOs.Linux.Symbols;

namespace GuestOs.Tests.Symbols;

public sealed class TaskListTests
{
    [Fact]
    public void Tasks_and_their_threads_are_read()
    {
        var kernel = new SmallKernel();
        ulong init = kernel.AddTask(1, 1, "init", 1, null);
        kernel.AddTask(2, 2, "kthreadd", 0x402, null);
        ulong server = kernel.AddTask(200, 200, "server", 0, null);
        kernel.AddTask(201, 200, "worker\u001b[31m", 2, server);
        kernel.AddTask(202, 200, "worker", 4, server);
        ulong stack = kernel.Data + 0x100;
        kernel.Write(init + SmallKernel.StackAt, stack);
        ulong[] words = [15, 14, 13, 12, 3, 5, kernel.Text + 0x1234];
        for (int i = 0; i < words.Length; i++)
        {
            kernel.Write(stack + ((ulong)i * 8), words[i]);
        }

        KernelImage image = kernel.Build(running: server);
        Assert.Empty(image.Problems);
        Assert.Equal(
            ["0 0 swapper/0 R", "1 1 init S", "2 2 kthreadd I", "200 200 server R", "201 200 worker\\x1b[31m D", "202 200 worker T"],
            image.Tasks.Select(task => $"{task.Pid} {task.ProcessId} {task.Name} {task.State}"));
        Assert.Equal(server, image.TaskOn(0)!.Address);
        Assert.Null(image.TaskOn(1));
        Assert.Equal(0, image.PanicVcpu);
        Assert.Equal(kernel.Text, image.RegistersOf(image.TaskOn(0)!)!.Pc);
        KernelRegisters saved = image.Tasks[1].Saved!;
        (int Register, ulong Value)[] known = [(15, 15), (14, 14), (13, 13), (12, 12), (3, 3), (5, 5), (4, stack + 56), (KernelRegisters.Rip, kernel.Text + 0x1234)];
        for (int register = 0; register < KernelRegisters.Count; register++)
        {
            bool expected = known.Any(one => one.Register == register);
            Assert.Equal(expected, saved.TryGet(register, out ulong value));
            Assert.Equal(known.FirstOrDefault(one => one.Register == register).Value, value);
        }
    }

    [Fact]
    public void A_kernel_that_has_said_nothing_of_itself_yet_is_read_all_the_same()
    {
        var kernel = new SmallKernel();
        kernel.AddTask(1, 1, "swapper/0", 0, null);
        for (uint i = 0; i < 300; i++)
        {
            kernel.Function(0x1000 + (i * 16), $"function_{i}");
        }

        KernelImage image = kernel.Build(early: true);
        Assert.True(image.Kernel.Info.IsReconstructed);
        Assert.Empty(image.Problems);
        Assert.Equal(kernel.Kernel.Kaslr, image.KaslrOffset);
        Assert.Equal(SyntheticKernel.BuildId, image.BuildId);
        Assert.Equal([0, 1], image.Tasks.Select(task => task.Pid));
        Assert.True(image.TryFindSymbol(kernel.Text + 0x1017, out KernelSymbol symbol, out _));
        Assert.Equal("function_1", symbol.Name);
    }

    [Theory]
    [InlineData("round", "goes on after")]
    [InlineData("self", "goes on after")]
    [InlineData("away", "breaks off")]
    [InlineData("threads round", "threads of one process go on")]
    [InlineData("no name", "")]
    public void A_list_that_leads_astray_ends_and_leaves_what_it_had(string how, string problem)
    {
        var kernel = new SmallKernel();
        ulong init = kernel.AddTask(1, 1, "init", 1, null);
        ulong second = kernel.AddTask(2, 2, "kthreadd", 1, null);
        ulong thread = kernel.AddTask(3, 2, "thread", 1, second);
        switch (how)
        {
            case "round":
                kernel.Write(second + SmallKernel.NextAt, init + SmallKernel.NextAt);
                break;
            case "self":
                kernel.Write(second + SmallKernel.NextAt, second + SmallKernel.NextAt);
                break;
            case "away":
                kernel.Write(second + SmallKernel.NextAt, 0xFFFF_9999_0000_0000);
                break;
            case "threads round":
                kernel.Write(thread + SmallKernel.ThreadNodeAt, thread + SmallKernel.ThreadNodeAt);
                break;
            default:
                kernel.Write(second + 56, ulong.MaxValue);
                kernel.Write(second + 64, ulong.MaxValue);
                break;
        }

        KernelImage image = kernel.Build();
        Assert.Subset(image.Tasks.Select(task => task.Pid).ToHashSet(), new HashSet<int> { 0, 1, 2, 3 });
        Assert.Equal(4, image.Tasks.Count);
        Assert.Equal(problem.Length > 0 ? 1 : 0, image.Problems.Count);
        Assert.All(image.Problems, line => Assert.Contains(problem, line, StringComparison.Ordinal));
        Assert.All(image.Tasks, task => Assert.DoesNotContain(task.Name, char.IsControl));
    }

    [Theory]
    [InlineData("round", 2, "goes on after")]
    [InlineData("away", 2, "breaks off")]
    [InlineData("huge", 2, "claims")]
    public void Modules_that_lie_are_told_and_the_others_are_there(string how, int left, string problem)
    {
        var kernel = new SmallKernel();
        kernel.AddModule("first", kernel.Text + 0x1D0_0000, 0x1000);
        ulong second = kernel.AddModule("second", kernel.Text + 0x1D1_0000, 0x1000);
        switch (how)
        {
            case "round":
                kernel.Write(second + SmallKernel.ModuleListAt, second + SmallKernel.ModuleListAt);
                break;
            case "away":
                kernel.Write(second + SmallKernel.ModuleListAt, 0xFFFF_9999_0000_0000);
                break;
            default:
                kernel.Write32(second + 100, uint.MaxValue);
                break;
        }

        KernelImage image = kernel.Build();
        Assert.Equal(["first", "second"], image.Modules.Select(module => module.Name).Take(left));
        Assert.Equal(0x1000UL, image.Modules[0].TextLength);
        Assert.Contains(image.Problems, line => line.Contains(problem, StringComparison.Ordinal));
        Assert.NotNull(image.CreateSymbolFile());
    }
}
