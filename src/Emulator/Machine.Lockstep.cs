using System.Text;
using System.Text.Json;
using Emulator.Devices;
using Emulator.Memory;
using Emulator.Time;
using Iced.Intel;

namespace Emulator;

// Engine.Both: an interpreter runs beside the translator and is compared with it.
public sealed partial class Machine
{
    /// <summary>
    /// Runs a reference machine behind another: the same inputs at the same instants, no output. They are compared each million
    /// instructions and at each end; where they differ, both are run again from the comparison before, block by block, to find where first.
    /// </summary>
    private sealed class Lockstep : IDisposable
    {
        private const ulong Between = 1_000_000;

        private readonly Machine candidate;
        private readonly Machine reference;
        private readonly Queue<ulong> passes = new();
        private int inputsSeen;
        private MemorySnapshot? memoryBefore;
        private MachineState? stateBefore;

        internal Lockstep(Machine candidate)
        {
            this.candidate = candidate;
            reference = MakeLike(candidate, Engine.Interpreter, _ => passes.TryDequeue(out ulong passed) ? passed : ulong.MaxValue);
        }

        public void Dispose()
        {
            memoryBefore?.Dispose();
            reference.Dispose();
        }

        internal void Passed(ulong nanoseconds) => passes.Enqueue(nanoseconds);

        internal void Restart()
        {
            CatchUp();
            reference.Restart();
            Forget();
        }

        internal void Loaded()
        {
            reference.Load(candidate.Save(), candidate);
            passes.Clear();
            inputsSeen = candidate.Input.Entered.Count;
            Forget();
        }

        internal void Wrote(ulong address, ReadOnlySpan<byte> bytes)
        {
            CatchUp();
            reference.WritePhysical(address, bytes);
            Forget();
        }

        internal void SetVcpu(int index, VcpuState state)
        {
            CatchUp();
            reference.SetVcpu(index, state);
            Forget();
        }

        internal MachineExit Run(ulong instructions)
        {
            for (bool pass = true; ; pass = false)
            {
                if (stateBefore is null)
                {
                    CatchUp();
                    Remember();
                }

                ulong before = candidate.executed;
                MachineExit exit = candidate.RunAlone(Math.Min(instructions, Between), pass);
                instructions -= candidate.executed - before;
                if (exit.Kind is MachineExitKind.Stepped or MachineExitKind.Reset or MachineExitKind.PowerOff or MachineExitKind.ExitPort)
                {
                    Compare(exit);
                }

                if (exit.Kind != MachineExitKind.Stepped || instructions == 0)
                {
                    return exit;
                }
            }
        }

        private static Machine MakeLike(Machine other, Engine engine, Func<ulong, ulong>? idle = null)
        {
            var store = new ErstStore(other.options.ErstStore.Capacity);
            foreach (ErstRecord record in other.options.ErstStore.Records)
            {
                store.TryWrite(record.Id, record.Contents);
            }

            return new Machine(other.options with
            {
                Engine = engine,
                ErstStore = store,
                Com1Output = null,
                Com2Output = null,
                DebugOutput = null,
                Idle = idle,
            });
        }

        // What was compared last is no start for a second look any more.
        private void Forget()
        {
            memoryBefore?.Dispose();
            memoryBefore = null;
            stateBefore = null;
        }

        private void Remember()
        {
            Forget();
            memoryBefore = candidate.memory.Freeze();
            stateBefore = candidate.Save();
        }

        private MachineExit? CatchUp()
        {
            reference.Input.Schedule(candidate.Input.Entered.Skip(inputsSeen));
            inputsSeen = candidate.Input.Entered.Count;
            MachineExit? exit = null;
            while (reference.clock.Now < candidate.clock.Now && exit?.Kind is null or MachineExitKind.Stepped)
            {
                exit = reference.RunAlone(candidate.clock.Now - reference.clock.Now, idleCounts: true);
            }

            passes.Clear();
            return exit;
        }

        private void Compare(MachineExit exit)
        {
            MachineExit? other = CatchUp();
            string? difference = other is { } its && (its.Kind != exit.Kind || its.InstructionCount != exit.InstructionCount)
                ? $"the interpreter ends with {its.Kind} at {its.InstructionCount}, the translator with {exit.Kind} at {exit.InstructionCount}"
                : Difference(reference, candidate, withDevices: true);
            if (difference is not null)
            {
                string first = Locate() ?? "When run again from there, they do not differ.";
                throw new EngineDifferenceException(
                    $"The engines differ between instructions {stateBefore!.InstructionCount} and {exit.InstructionCount}:\n{difference}{first}");
            }

            Remember();
        }

        // Runs both from where they were the same, a block at a time, and then the block that differs to each of its instructions.
        private string? Locate()
        {
            using Machine slow = MakeLike(candidate, Engine.Interpreter), fast = MakeLike(candidate, Engine.Translator);
            LoadCopy(slow, stateBefore!, memoryBefore!);
            LoadCopy(fast, stateBefore!, memoryBefore!);
            InputEvent[] inputs = [.. candidate.Input.Entered.Where(input => input.InstructionCount >= stateBefore!.InstructionCount)];
            slow.Input.Schedule(inputs);
            fast.Input.Schedule(inputs);
            fast.vcpus[0].OneBlock = true;
            ulong memoryCompared = fast.clock.Now;
            while (fast.clock.Now < candidate.clock.Now)
            {
                MachineState state = slow.Save();
                using MemorySnapshot slowMemory = slow.memory.Freeze(), fastMemory = fast.memory.Freeze();
                StepBoth(slow, fast);
                string? difference = Registers(slow, fast);
                if (difference is null && fast.clock.Now - memoryCompared > 10_000)
                {
                    memoryCompared = fast.clock.Now;
                    difference = Memory(slow, fast);
                }

                if (difference is not null)
                {
                    string block = Describe(slow, state);
                    return Pinpoint(slow, fast, state, slowMemory, fastMemory) ?? $"Behind this block:\n{block}{difference}";
                }
            }

            return null;
        }

        // A breakpoint behind an instruction ends the block there: the first such block that differs has the instruction as its last.
        private static string? Pinpoint(Machine slow, Machine fast, MachineState state, MemorySnapshot slowMemory, MemorySnapshot fastMemory)
        {
            slow.Load(state, slowMemory);
            string before = Describe(slow, state);
            foreach ((ulong next, string text) in Instructions(slow, state))
            {
                slow.Load(state, slowMemory);
                fast.Load(state, fastMemory);
                fast.SetBreakpoints([next]);
                StepBoth(slow, fast);
                string? difference = Registers(slow, fast) ?? Memory(slow, fast);
                if (difference is not null)
                {
                    return $"Behind {text}, in this block:\n{before}{difference}";
                }
            }

            return null;
        }

        private static void StepBoth(Machine slow, Machine fast)
        {
            fast.RunAlone(ulong.MaxValue);
            while (slow.clock.Now < fast.clock.Now && slow.RunAlone(fast.clock.Now - slow.clock.Now, idleCounts: true).Kind == MachineExitKind.Stepped)
            {
            }
        }

        private static unsafe void LoadCopy(Machine machine, MachineState state, MemorySnapshot snapshot)
        {
            for (ulong page = 0; page < snapshot.Size / GuestMemory.PageSize; page++)
            {
                if (!snapshot.IsUntouched(page))
                {
                    new ReadOnlySpan<byte>(snapshot.ReadPage(page), GuestMemory.PageSize)
                        .CopyTo(new Span<byte>(machine.memory.WritePage(page), GuestMemory.PageSize));
                }
            }

            machine.LoadState(state);
        }

        private static string? Difference(Machine slow, Machine fast, bool withDevices) =>
            Registers(slow, fast) ?? (withDevices ? OfDevices(slow, fast) : null) ?? Memory(slow, fast);

        private static string? Registers(Machine slow, Machine fast)
        {
            var text = new StringBuilder();
            if (slow.clock.Now != fast.clock.Now)
            {
                text.AppendLine($"  instructions: interpreter {slow.clock.Now}, translator {fast.clock.Now}");
            }

            foreach (((string name, ulong right), (_, ulong wrong)) in Named(slow.vcpus[0].Save()).Zip(Named(fast.vcpus[0].Save())))
            {
                if (right != wrong)
                {
                    text.AppendLine($"  {name}: interpreter {right:x}, translator {wrong:x}");
                }
            }

            return text.Length == 0 ? null : text.ToString();
        }

        private static IEnumerable<(string Name, ulong Value)> Named(VcpuState state)
        {
            string[] names = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
            for (int i = 0; i < names.Length; i++)
            {
                yield return (names[i], state.Gpr[i]);
            }

            yield return ("rip", state.Rip);
            yield return ("rflags", state.Rflags);
            yield return ("cr0", state.Cr0);
            yield return ("cr2", state.Cr2);
            yield return ("cr3", state.Cr3);
            yield return ("cr4", state.Cr4);
            yield return ("efer", state.Efer);
            for (int i = 0; i < state.Segments.Length; i++)
            {
                yield return ($"segment {i}'s selector", state.Segments[i].Selector);
                yield return ($"segment {i}'s base", state.Segments[i].Base);
                yield return ($"segment {i}'s attributes", state.Segments[i].Attributes);
            }

            for (int at = 0; at < 416; at += 8)
            {
                yield return (at < 160 ? $"FXSAVE image at {at}" : $"xmm{(at - 160) / 16}, {(at % 16 == 0 ? "low" : "high")} half", BitConverter.ToUInt64(state.Fx, at));
            }

            foreach ((uint number, ulong value) in state.Msrs)
            {
                yield return ($"MSR {number:x}h", value);
            }

            yield return ("halted", state.Halted ? 1UL : 0);
            yield return ("interrupt shadow", state.InterruptShadow);
        }

        private static string? OfDevices(Machine slow, Machine fast)
        {
            byte[] right = JsonSerializer.SerializeToUtf8Bytes(slow.Save(), StateJson.Default.MachineState);
            byte[] wrong = JsonSerializer.SerializeToUtf8Bytes(fast.Save(), StateJson.Default.MachineState);
            int same = right.AsSpan().CommonPrefixLength(wrong);
            return right.Length == same && wrong.Length == same ? null
                : $"  devices: interpreter …{Excerpt(right, same)}…, translator …{Excerpt(wrong, same)}…\n";

            static string Excerpt(byte[] json, int at) => Encoding.UTF8.GetString(json.AsSpan(Math.Max(at - 60, 0), Math.Min(100, json.Length - Math.Max(at - 60, 0))));
        }

        private static unsafe string? Memory(Machine slow, Machine fast)
        {
            for (ulong page = 0; page < slow.memory.Size / GuestMemory.PageSize; page++)
            {
                byte* right = slow.memory.ReadPage(page), wrong = fast.memory.ReadPage(page);
                int same = new ReadOnlySpan<byte>(right, GuestMemory.PageSize).CommonPrefixLength(new ReadOnlySpan<byte>(wrong, GuestMemory.PageSize));
                if (same != GuestMemory.PageSize)
                {
                    ulong address = (slow.space.PhysicalPageOf(page) << 12) + (ulong)same;
                    return $"  memory at physical {address:x}h: interpreter {right[same]:x2}, translator {wrong[same]:x2}\n";
                }
            }

            return null;
        }

        // The block's instructions and the registers it began with.
        private static string Describe(Machine machine, MachineState state)
        {
            var text = new StringBuilder();
            foreach ((_, string instruction) in Instructions(machine, state))
            {
                text.AppendLine($"  {instruction}");
            }

            VcpuState vcpu = state.Vcpus[0];
            text.Append("  before: rflags ").Append($"{vcpu.Rflags:x}");
            foreach ((string name, ulong value) in Named(vcpu).Take(16))
            {
                text.Append($" {name} {value:x}");
            }

            return text.AppendLine().ToString();
        }

        // From RIP to the first jump; what follows each, and its text.
        private static List<(ulong Next, string Text)> Instructions(Machine machine, MachineState state)
        {
            VcpuState vcpu = state.Vcpus[0];
            byte[] bytes = new byte[512];
            ulong linear = vcpu.Rip + (vcpu.Segments[1].Attributes >> 13 & 1) switch { 1 => 0, _ => vcpu.Segments[1].Base };
            int length = PageWalker.ReadLinear(machine, PagingRegisters.Of(vcpu), linear, bytes);
            int bitness = (vcpu.Segments[1].Attributes >> 13 & 1) != 0 ? 64 : (vcpu.Segments[1].Attributes >> 14 & 1) != 0 ? 32 : 16;
            var decoder = Iced.Intel.Decoder.Create(bitness, new ByteArrayCodeReader(bytes, 0, length), vcpu.Rip);
            var formatter = new NasmFormatter();
            var output = new StringOutput();
            List<(ulong, string)> instructions = [];
            while (instructions.Count < Cpu.Decoder.MaxBlockOps && decoder.IP - vcpu.Rip < (ulong)Math.Max(length - 15, 1))
            {
                Instruction instruction = decoder.Decode();
                formatter.Format(instruction, output);
                instructions.Add((linear + (decoder.IP - vcpu.Rip), $"{instruction.IP:x}: {output.ToStringAndReset()}"));
                if (instruction.FlowControl != FlowControl.Next)
                {
                    break;
                }
            }

            return instructions;
        }
    }
}
