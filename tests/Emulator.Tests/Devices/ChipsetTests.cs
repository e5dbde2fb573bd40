using System.Text.Json;
using System.Text.Json.Nodes;
using Emulator.Devices;

namespace Emulator.Tests.Devices;

public sealed class ChipsetTests
{
    [Fact]
    public void Building_a_chipset_tells_the_processors_nothing()
    {
        var t = new TestChipset(2);
        Assert.All(t.Vcpus, vcpu => Assert.Equal((0, 0, 0), (vcpu.Changes, vcpu.Nmis, vcpu.Inits)));
        Assert.Empty(t.Asked);
    }

    [Fact]
    public void Reset_gives_the_state_of_a_new_chipset_but_for_what_a_battery_keeps()
    {
        var t = new TestChipset(2);
        Scribble(t, seed: 1, writes: 20_000);
        t.Store.Clear();
        t.Out(0x3FB, 0);
        t.Out(0x3FC, 0);
        while (t.Chipset.Com1.WaitingInput > 0)
        {
            t.In(0x3F8);
        }

        t.Chipset.Reset();
        var fresh = new TestChipset(2);
        fresh.Clock.Now = t.Clock.Now;
        fresh.Chipset.Reset();

        // The calendar and its memory are the battery's.
        Assert.Equal(Without(fresh), Without(t));

        static string Without(TestChipset each)
        {
            JsonNode state = JsonNode.Parse(each.Json())!;
            state.AsObject().Remove("Rtc");
            return state.ToJsonString();
        }
    }

    [Fact]
    public void The_same_accesses_at_the_same_instants_give_the_same_state()
    {
        var first = new TestChipset(2);
        var second = new TestChipset(2);
        Assert.Equal(Scribble(first, seed: 7, writes: 50_000), Scribble(second, seed: 7, writes: 50_000));
        Assert.Equal(first.Json(), second.Json());
    }

    [Fact]
    public void A_chipset_saved_anywhere_and_loaded_goes_on_as_if_nothing_had_been()
    {
        for (int seed = 100; seed < 140; seed++)
        {
            var t = new TestChipset(2);
            Scribble(t, seed, writes: 2_000);
            TestChipset other = t.Fork();
            Assert.Equal(t.Json(), other.Json());
            Assert.Equal(Scribble(t, seed + 1000, writes: 2_000), Scribble(other, seed + 1000, writes: 2_000));
            Assert.Equal(t.Json(), other.Json());
        }
    }

    [Fact]
    public void Saving_changes_nothing()
    {
        var t = new TestChipset(2);
        Scribble(t, seed: 3, writes: 5_000);
        Assert.Equal(t.Json(), t.Json());
    }

    [Fact]
    public void Accesses_and_timers_allocate_nothing()
    {
        var t = new TestChipset();
        t.Out(0x21, 0xFA);
        t.Out(0x3FC, 0x08);
        t.Out(0x3F9, 0x02);
        t.WriteMemory(0xFED0_0010, 8, 1);
        t.WriteMemory(0xFED0_0100, 8, 0x284C);
        t.WriteMemory(0xFED0_0108, 8, 1_000);
        t.WriteIoApic(0x10 + 40, 0x40);
        t.WriteApic(0x320, 0x2_0031);
        t.WriteApic(0x3E0, 0xB);
        t.WriteApic(0x380, 10_000);
        t.Com1.Capacity = 100_000;
        Work(t);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Work(t);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        static void Work(TestChipset t)
        {
            for (int i = 0; i < 10_000; i++)
            {
                t.AdvanceTo(t.Clock.Now + 5_000);
                t.In(0x3FD);
                t.Out(0x3F8, 'x');
                t.In(0x61);
                t.In(0x71);
                t.In32(0x608);
                t.ReadMemory(0xFED0_00F0, 8);
                while (t.Apic.HasInterrupt)
                {
                    int vector = t.Apic.Acknowledge();
                    if (vector < 0x20)
                    {
                        t.Out(0x20, 0x20);
                    }
                    else
                    {
                        t.WriteApic(0xB0, 0);
                    }
                }
            }
        }
    }

    [Fact]
    public void State_of_another_number_of_processors_is_refused()
    {
        ChipsetState state = new TestChipset(2).Chipset.Save();
        ArgumentException refused = Assert.Throws<ArgumentException>(() => new TestChipset(1).Chipset.Load(state));
        Assert.Contains("LocalApics", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void State_with_a_part_missing_or_cut_short_is_refused_by_name()
    {
        string json = new TestChipset().Json();
        foreach (string part in JsonNode.Parse(json)!.AsObject().Select(pair => pair.Key).ToArray())
        {
            JsonObject state = JsonNode.Parse(json)!.AsObject();
            state.Remove(part);
            ArgumentException refused = Assert.Throws<ArgumentException>(
                () => new TestChipset().Chipset.Load(ChipsetJson.Read(state.ToJsonString())));
            Assert.Contains(part, refused.Message, StringComparison.Ordinal);
        }

        foreach ((string part, string array) in new[] { ("Pit", "Counters"), ("Hpet", "Timers"), ("Hpet", "Pins"), ("IoApic", "Entries") })
        {
            JsonObject state = JsonNode.Parse(json)!.AsObject();
            state[part]![array]!.AsArray().RemoveAt(0);
            Assert.Throws<ArgumentException>(
                () => new TestChipset().Chipset.Load(ChipsetJson.Read(state.ToJsonString())));
        }
    }

    [Fact]
    public void State_with_any_numbers_can_be_loaded_and_run()
    {
        var random = new Random(42);
        int loaded = 0;
        for (int round = 0; round < 1500; round++)
        {
            var t = new TestChipset(2);
            Scribble(t, round, writes: 100);
            JsonNode state = JsonNode.Parse(t.Json())!;
            List<Action<JsonNode>> numbers = [];
            FindNumbers(state, numbers);
            for (int i = 0; i < 3; i++)
            {
                numbers[random.Next(numbers.Count)](JsonNode.Parse(Extremes[random.Next(Extremes.Length)])!);
            }

            var other = new TestChipset(2);
            other.Clock.Now = t.Clock.Now;
            try
            {
                other.Chipset.Load(ChipsetJson.Read(state.ToJsonString()));
            }
            catch (JsonException)
            {
                // Not a number of that field's type.
                continue;
            }

            // A timer that never lets go would hang here.
            loaded++;
            Scribble(other, round, writes: 100);
        }

        Assert.InRange(loaded, 300, 1500);
    }

    /// <summary>Accesses of all kinds all over the place, time passing in between; gives a digest of what was read.</summary>
    private static long Scribble(TestChipset t, int seed, int writes)
    {
        ushort[] ports =
        [
            0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x60, 0x64, 0x70, 0x71, 0x71, 0x92, 0x80, 0xB2, 0xB3,
            0x3F8, 0x3F9, 0x3FA, 0x3FB, 0x3FC, 0x3FD, 0x3FE, 0x3FF, 0x2F8, 0x2F9, 0xCF8, 0xCF9, 0xCFC, 0x600, 0x602, 0x604, 0x608, 0x60C, 0x505, 0xF4,
        ];
        ulong[] windows = [0xFEC0_0000, 0xFED0_0000, 0xFED8_0000, 0xFED9_0000];
        ulong[] offsets = [0, 0x10, 0x20, 0x40, 0xF0, 0x100, 0x108, 0x120, 0x128, 0x140, 0x148, 8];
        var random = new Random(seed);
        long digest = 17;
        for (int i = 0; i < writes; i++)
        {
            // Bounded time and few periodic timers of a few nanoseconds, else the test only runs events.
            ulong end = t.Clock.Now + (ulong)random.Next(5_000);
            for (int events = 0; t.Events.NextDeadline <= end && events < 20; events++)
            {
                t.Clock.Now = Math.Max(t.Clock.Now, t.Events.NextDeadline);
                t.Events.RunDue(t.Clock.Now);
            }

            t.Clock.Now++;
            int size = 1 << random.Next(3);
            uint value = (uint)random.NextInt64(1L << 32);
            LocalApic apic = t.Chipset.LocalApics[random.Next(t.Vcpus.Length)];
            ulong window = windows[random.Next(windows.Length)] + offsets[random.Next(offsets.Length)];
            switch (random.Next(10))
            {
                case 0 or 1 or 2:
                    t.Bus.WritePort(ports[random.Next(ports.Length)], size, value);
                    break;
                case 3 or 4:
                    digest = (digest * 31) + t.Bus.ReadPort(ports[random.Next(ports.Length)], size);
                    break;
                case 5:
                    t.WriteMemory(window, random.Next(2) == 0 ? 4 : 8, random.Next(3) == 0 ? value : value & 0xFFF);
                    break;
                case 6:
                    digest = (digest * 31) + (long)t.ReadMemory(window, 8);
                    break;
                case 7:
                    apic.WriteMmio((ulong)random.Next(0x40) << 4, 4, value);
                    apic.TryWriteMsr((uint)random.Next(0x800, 0x840), value & 0x700FF);
                    break;
                case 8:
                    digest = (digest * 31) + (long)apic.ReadMmio((ulong)random.Next(0x40) << 4, 4) + (apic.HasInterrupt ? apic.Acknowledge() : 0);
                    apic.WriteMmio(0xB0, 4, 0);
                    break;
                default:
                    t.Chipset.Com1.Receive([(byte)value]);
                    t.Chipset.Key([(byte)(value & 0x7F)]);
                    break;
            }
        }

        return digest;
    }

    private static readonly string[] Extremes =
        ["0", "1", "-1", "7", "255", "65535", "4294967295", "9223372036854775807", "-9223372036854775808", "18446744073709551615"];

    private static void FindNumbers(JsonNode? node, List<Action<JsonNode>> setters)
    {
        if (node is JsonObject map)
        {
            foreach ((string key, JsonNode? child) in map.ToArray())
            {
                if (child is JsonValue && child.GetValueKind() == JsonValueKind.Number)
                {
                    setters.Add(value => map[key] = value);
                }
                else
                {
                    FindNumbers(child, setters);
                }
            }
        }
        else if (node is JsonArray array)
        {
            for (int i = 0; i < array.Count; i++)
            {
                int index = i;
                if (array[i] is JsonValue item && item.GetValueKind() == JsonValueKind.Number)
                {
                    setters.Add(value => array[index] = value);
                }
                else
                {
                    FindNumbers(array[i], setters);
                }
            }
        }
    }
}
