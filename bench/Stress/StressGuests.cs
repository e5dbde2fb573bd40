using System.Buffers.Binary;
using Guests;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Bench.Stress;

/// <summary>What wears a translator down.</summary>
internal static class StressGuests
{
    private const uint CodeAt = 0x100_0000, DataAt = StressGuest.FreeMemory;

    /// <summary>The names of all, in the order they are measured.</summary>
    public static IReadOnlyList<string> Names { get; } = ["code-cache", "blocks", "rewrite", "flush"];

    /// <summary>The guest of that name.</summary>
    public static StressGuest Make(string name) => name switch
    {
        "code-cache" => CodeCache(),
        "blocks" => Blocks(),
        "rewrite" => Rewrite(),
        "flush" => Flush(),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "no such guest"),
    };

    /// <summary>
    /// Code that fills a cache: blocks of eight additions to memory, each of which is many host instructions for three
    /// bytes, one behind the other. The largest is 32 MiB of them, some hundreds of MiB once translated.
    /// </summary>
    private static StressGuest CodeCache()
    {
        const int blockBytes = 32;
        var guest = new StressGuest("code-cache", "block of 9 instructions");
        byte[] block = new byte[blockBytes];
        for (int i = 0; i < 8; i++)
        {
            ReadOnlySpan<byte> add = [0x01, 0x43, (byte)(i * 4)]; // add [rbx+4i],eax
            add.CopyTo(block.AsSpan(i * 3));
        }

        ReadOnlySpan<byte> jump = [0xEB, 6]; // over the rest, which is never executed, to the next
        jump.CopyTo(block.AsSpan(24));
        foreach (uint blocks in (ReadOnlySpan<uint>)[1 << 12, 1 << 15, 1 << 18, 1 << 20])
        {
            guest.Add(new Stage("write", blocks, blocks), a =>
            {
                Label next = a.CreateLabel();
                AssemblerRegister64[] quarters = [r8, r9, r10, r11];
                for (int i = 0; i < quarters.Length; i++)
                {
                    a.mov(quarters[i], BinaryPrimitives.ReadUInt64LittleEndian(block.AsSpan(i * 8)));
                }

                a.mov(ecx, blocks);
                a.mov(edi, CodeAt);
                a.Label(ref next);
                for (int i = 0; i < quarters.Length; i++)
                {
                    a.mov(__qword_ptr[rdi + (i * 8)], quarters[i]);
                }

                a.add(rdi, blockBytes);
                a.dec(ecx);
                a.jnz(next);
                a.mov(__byte_ptr[rdi], 0xC3); // ret
            });
            foreach (string kind in (ReadOnlySpan<string>)["first", "second", "third"])
            {
                guest.Add(new Stage(kind, blocks, blocks), a =>
                {
                    a.mov(ebx, DataAt);
                    a.mov(eax, 1);
                    a.mov(edx, CodeAt);
                    a.call(rdx);
                });
            }
        }

        return guest;
    }

    /// <summary>
    /// Jumps from block to block without an order that could be foreseen, through up to a million of them, 256 in a page;
    /// the next is 5·n + 3, which comes to all before it comes to one again (Hull and Dobell).
    /// </summary>
    private static StressGuest Blocks()
    {
        const uint jumps = 4 << 20;
        var guest = new StressGuest("blocks", "jump");
        foreach (uint blocks in (ReadOnlySpan<uint>)[1 << 10, 1 << 14, 1 << 17, 1 << 20])
        {
            guest.Add(new Stage("write", blocks, blocks), a =>
            {
                Label next = a.CreateLabel();
                a.xor(ecx, ecx);
                a.mov(edi, CodeAt);
                a.mov(edx, 0x850F_CDFF); // dec ebp; jnz rel32, whose distance is the next four bytes
                a.Label(ref next);
                a.lea(eax, __[rcx + (rcx * 4) + 3]);
                a.and(eax, blocks - 1);
                a.sub(eax, ecx);
                a.shl(eax, 4);
                a.sub(eax, 8);
                a.shl(rax, 32);
                a.or(rax, rdx);
                a.mov(__qword_ptr[rdi], rax);
                a.mov(__qword_ptr[rdi + 8], 0xC3); // ret, when the count is used up
                a.add(rdi, 16);
                a.inc(ecx);
                a.cmp(ecx, blocks);
                a.jb(next);
            });
            foreach ((string kind, uint count) in ((string, uint)[])[("first", blocks), ("again", jumps)])
            {
                guest.Add(new Stage(kind, blocks, count), a =>
                {
                    a.mov(ebp, count);
                    a.mov(edx, CodeAt);
                    a.call(rdx);
                });
            }
        }

        return guest;
    }

    /// <summary>
    /// Code that changes between two executions: a function in another page, the next instruction of the same block; and
    /// data that lie in the page of the code that changes them.
    /// </summary>
    private static StressGuest Rewrite()
    {
        const ulong itself = LongModeProgram.Extra, beside = LongModeProgram.Extra + 0x1000;
        var guest = new StressGuest("rewrite", "store");
        guest.Image.Code(64, itself, 0x1000, a =>
        {
            Label next = a.CreateLabel(), patched = a.CreateLabel();
            a.xor(ecx, ecx);
            a.Label(ref next);
            a.lea(rbx, __[patched]);
            a.mov(__dword_ptr[rbx + 1], ecx);
            a.Label(ref patched);
            a.db(0xB8, 0, 0, 0, 0); // mov eax,0
            a.add(edx, eax);
            a.inc(ecx);
            a.cmp(ecx, esi);
            a.jb(next);
            a.ret();
        });
        guest.Image.Code(64, beside, 0x1000, a =>
        {
            Label next = a.CreateLabel();
            a.lea(rbx, __[next]);
            a.Label(ref next);
            a.inc(__qword_ptr[rbx + 0x400]);
            a.dec(esi);
            a.jnz(next);
            a.ret();
        });
        foreach (uint count in (ReadOnlySpan<uint>)[10_000, 100_000, 1_000_000])
        {
            guest.Add(new Stage("callee", count, count), a =>
            {
                Label next = a.CreateLabel();
                a.mov(ebx, DataAt);
                a.mov(__byte_ptr[rbx], 0xB8); // mov eax,imm32; ret
                a.mov(__byte_ptr[rbx + 5], 0xC3);
                a.xor(ecx, ecx);
                a.Label(ref next);
                a.mov(__dword_ptr[rbx + 1], ecx);
                a.call(rbx);
                a.inc(ecx);
                a.cmp(ecx, count);
                a.jb(next);
            });
            foreach ((string kind, ulong at) in ((string, ulong)[])[("itself", itself), ("beside", beside)])
            {
                guest.Add(new Stage(kind, count, count), a =>
                {
                    a.mov(esi, count);
                    a.mov(edx, (uint)at);
                    a.call(rdx);
                });
            }
        }

        return guest;
    }

    /// <summary>Reads from 16 pages, again and again: as they are, after INVLPG of one of them, after a write to CR3.</summary>
    private static StressGuest Flush()
    {
        const int pages = 16;
        var guest = new StressGuest("flush", "flush and 16 reads");
        foreach (uint count in (ReadOnlySpan<uint>)[10_000, 100_000, 1_000_000])
        {
            foreach ((string kind, Action<Assembler> flush) in ((string, Action<Assembler>)[])
            [
                ("none", _ => { }),
                ("invlpg", a => a.invlpg(__[rdi])),
                ("cr3", a =>
                {
                    a.mov(rax, cr3);
                    a.mov(cr3, rax);
                }),
            ])
            {
                guest.Add(new Stage(kind, count, count), a =>
                {
                    Label next = a.CreateLabel();
                    a.mov(ecx, count);
                    a.mov(edi, DataAt);
                    a.Label(ref next);
                    flush(a);
                    for (int page = 0; page < pages; page++)
                    {
                        a.mov(rdx, __qword_ptr[rdi + (page << 12)]);
                    }

                    a.dec(ecx);
                    a.jnz(next);
                });
            }
        }

        return guest;
    }
}
