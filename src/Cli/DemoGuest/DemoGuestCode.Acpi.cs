using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Cli.DemoGuest;

/// <summary>
/// What the demo guest knows of ACPI (specification 6.4): to find a table (§5.2.5), to follow the ERST's serialization
/// instructions (§18.5), to switch off (§7.4.2). Nothing about the machine's registers is taken for granted.
/// </summary>
internal sealed partial class DemoGuestCode
{
    private const int BeginWrite = 0, BeginRead = 1, EndOperation = 3, SetRecordOffset = 4, ExecuteOperation = 5, CheckBusyStatus = 6,
        GetCommandStatus = 7, GetRecordIdentifier = 8, SetRecordIdentifier = 9, GetRecordCount = 10, GetErrorLogAddressRange = 13;

    private const int TextOffset = 200;
    private const int ReportFirstWord = 0x696E_6150; // "Pani"

    /// <summary>As pstore begins a panic's record.</summary>
    private static ReadOnlySpan<byte> ReportHeadline => "Panic#1 Part1\n"u8;

    /// <summary>EDI is a signature; the table's address, or 0.</summary>
    private void WriteFindTable()
    {
        Label scan = a.CreateLabel(), found = a.CreateLabel(), narrow = a.CreateLabel(), next = a.CreateLabel(), wide = a.CreateLabel(),
            compare = a.CreateLabel(), done = a.CreateLabel(), none = a.CreateLabel();
        Begin("demo_find_table", findTable);
        a.mov(eax, __dword_ptr[(long)StartInfo]);
        a.mov(rsi, __qword_ptr[rax + 32]);
        a.test(rsi, rsi);
        a.jnz(found);
        a.mov(rax, 0x2052_5450_2044_5352); // "RSD PTR "
        a.mov(esi, 0xE_0000 - 16);
        a.Label(ref scan);
        a.add(esi, 16);
        a.cmp(esi, 0x10_0000);
        a.jae(none);
        a.cmp(__qword_ptr[rsi], rax);
        a.jne(scan);
        a.Label(ref found);
        a.mov(r10d, 4); // bytes of a pointer: RSDT
        a.mov(edx, __dword_ptr[rsi + 16]);
        a.cmp(__byte_ptr[rsi + 15], 2);
        a.jb(narrow);
        a.cmp(__qword_ptr[rsi + 24], 0);
        a.je(narrow);
        a.mov(rdx, __qword_ptr[rsi + 24]); // XSDT
        a.mov(r10d, 8);
        a.Label(ref narrow);
        a.mov(ecx, __dword_ptr[rdx + 4]);
        a.add(rcx, rdx);
        a.lea(rdx, __[rdx + 36]);
        a.Label(ref next);
        a.lea(r8, __[rdx + r10]);
        a.cmp(r8, rcx);
        a.ja(none);
        a.cmp(r10d, 8);
        a.je(wide);
        a.mov(eax, __dword_ptr[rdx]);
        a.jmp(compare);
        a.Label(ref wide);
        a.mov(rax, __qword_ptr[rdx]);
        a.Label(ref compare);
        a.cmp(__dword_ptr[rax], edi);
        a.je(done);
        a.mov(rdx, r8);
        a.jmp(next);
        a.Label(ref none);
        a.xor(eax, eax);
        a.Label(ref done);
        Return();
    }

    /// <summary>Does serialization action EDI with the value RSI; what it gives.</summary>
    private void WriteErst()
    {
        Label next = a.CreateLabel(), skip = a.CreateLabel(), write = a.CreateLabel(), narrowRead = a.CreateLabel(),
            haveRead = a.CreateLabel(), store = a.CreateLabel(), narrowWrite = a.CreateLabel(), done = a.CreateLabel();
        Begin("demo_erst", erst);
        a.xor(eax, eax);
        a.mov(r8, __qword_ptr[(long)ErstTable]);
        a.mov(ecx, __dword_ptr[r8 + 44]);
        a.add(r8, 48);
        a.Label(ref next);
        a.dec(ecx);
        a.js(done);
        a.cmp(__byte_ptr[r8], dil);
        a.jne(skip);
        a.mov(r9, __qword_ptr[r8 + 8]);
        a.movzx(edx, __byte_ptr[r8 + 1]);
        a.cmp(edx, 1);
        a.ja(write);

        // READ_REGISTER and READ_REGISTER_VALUE.
        a.cmp(__byte_ptr[r8 + 5], 64);
        a.jne(narrowRead);
        a.mov(rax, __qword_ptr[r9]);
        a.jmp(haveRead);
        a.Label(ref narrowRead);
        a.mov(eax, __dword_ptr[r9]);
        a.Label(ref haveRead);
        a.and(rax, __qword_ptr[r8 + 24]);
        a.test(edx, edx);
        a.jz(skip);
        a.cmp(rax, __qword_ptr[r8 + 16]);
        a.sete(al);
        a.movzx(eax, al);
        a.jmp(skip);

        // WRITE_REGISTER and WRITE_REGISTER_VALUE.
        a.Label(ref write);
        a.mov(r10, rsi);
        a.cmp(edx, 2);
        a.je(store);
        a.cmp(edx, 3);
        a.jne(skip);
        a.mov(r10, __qword_ptr[r8 + 16]);
        a.Label(ref store);
        a.and(r10, __qword_ptr[r8 + 24]);
        a.cmp(__byte_ptr[r8 + 5], 64);
        a.jne(narrowWrite);
        a.mov(__qword_ptr[r9], r10);
        a.jmp(skip);
        a.Label(ref narrowWrite);
        a.mov(__dword_ptr[r9], r10d);
        a.Label(ref skip);
        a.add(r8, 32);
        a.jmp(next);
        a.Label(ref done);
        Return();
    }

    /// <summary>Looks for the store; the number of records in it, 0 without one.</summary>
    private void WriteFindStore()
    {
        Label there = a.CreateLabel(), end = a.CreateLabel();
        Begin("demo_find_store", findStore);
        a.mov(edi, 0x5453_5245); // "ERST"
        a.call(findTable);
        a.mov(__qword_ptr[(long)ErstTable], rax);
        a.test(rax, rax);
        a.jnz(there);
        Say("demo: this machine has no error record store\n");
        a.xor(eax, eax);
        a.jmp(end);
        a.Label(ref there);
        a.nop();
        Erst(GetErrorLogAddressRange);
        a.mov(__qword_ptr[(long)ErstBuffer], rax);
        Say("demo: error record store found, records: ");
        Erst(GetRecordCount);
        a.push(rax);
        a.push(rax);
        a.mov(rdi, rax);
        a.call(sayNumber);
        Say("\n");
        a.pop(rax);
        a.Label(ref end);
        Return();
    }

    private void WriteShowOldReport()
    {
        Label bad = a.CreateLabel(), end = a.CreateLabel();
        Begin("demo_show_old_report", showOldReport);
        Erst(GetRecordIdentifier);
        a.push(rax);
        a.push(rax);
        Erst(BeginRead);
        a.xor(esi, esi);
        Erst(SetRecordOffset);
        a.pop(rsi);
        Erst(SetRecordIdentifier);
        Execute();
        a.test(rax, rax);
        a.jnz(bad);
        a.mov(rdx, __qword_ptr[(long)ErstBuffer]);
        a.cmp(__dword_ptr[rdx + TextOffset], ReportFirstWord);
        a.jne(bad);
        a.mov(eax, __dword_ptr[rdx + 128 + 4]); // the section's length
        a.cmp(eax, 0x1000);
        a.ja(bad);
        a.mov(__byte_ptr[rdx + rax + TextOffset], 0);
        a.push(rdx);
        Say("demo: the report of the last crash, from the store:\n");
        a.pop(rdi);
        a.add(rdi, TextOffset);
        a.call(say);
        a.jmp(end);
        a.Label(ref bad);
        a.nop();
        Say("demo: the first record in the store is not one of mine\n");
        a.Label(ref end);
        Return();
    }

    /// <summary>The log so far as a CPER record (UEFI specification, appendix N) of the kinds Linux's pstore uses.</summary>
    private void WriteReport()
    {
        Label end = a.CreateLabel(), failed = a.CreateLabel();
        byte[] template = RecordTemplate();
        ulong templateAt = TextsAddress + (ulong)texts.Count;
        texts.AddRange(template);
        Begin("demo_write_report", writeReport);
        a.cmp(__qword_ptr[(long)ErstTable], 0);
        a.je(end);
        a.mov(rdx, __qword_ptr[(long)ErstBuffer]);
        a.mov(rdi, rdx);
        a.mov(esi, (uint)templateAt);
        a.mov(ecx, (uint)template.Length);
        a.rep.movsb();
        a.mov(esi, (uint)Log);
        a.mov(rcx, __qword_ptr[(long)LogEnd]);
        a.sub(rcx, rsi);
        a.lea(eax, __[rcx + ReportHeadline.Length]);
        a.mov(__dword_ptr[rdx + 128 + 4], eax);
        a.add(eax, TextOffset);
        a.mov(__dword_ptr[rdx + 20], eax); // the record's length
        a.rep.movsb();
        a.mov(r8, rdx);
        a.rdtsc();
        a.lea(eax, __[rax * 2 + 1]);
        a.mov(__dword_ptr[r8 + 96], eax); // an identifier that is neither 0 nor all ones
        Erst(BeginWrite);
        a.xor(esi, esi);
        Erst(SetRecordOffset);
        Execute();
        a.test(rax, rax);
        a.jnz(failed);
        Say("demo: report written to the error record store\n");
        a.jmp(end);
        a.Label(ref failed);
        a.nop();
        Say("demo: the error record store did not take the report\n");
        a.Label(ref end);
        Return();
    }

    /// <summary>ACPI S5: the sleep type is the first element of the DSDT's package _S5_, the register the FADT's PM1a control block.</summary>
    private void WritePowerOff()
    {
        Label next = a.CreateLabel(), none = a.CreateLabel(), package = a.CreateLabel(), direct = a.CreateLabel();
        Begin("demo_power_off", powerOff);
        Say("demo: powering off\n");
        a.mov(edi, 0x5043_4146); // "FACP"
        a.call(findTable);
        a.test(rax, rax);
        a.jz(none);
        a.mov(edi, __dword_ptr[rax + 64]);
        a.mov(esi, __dword_ptr[rax + 40]);
        a.mov(ecx, __dword_ptr[rsi + 4]);
        a.sub(ecx, 36 + 8);
        a.js(none);
        a.add(esi, 36);
        a.Label(ref next);
        a.cmp(__dword_ptr[rsi], 0x5F35_535F); // "_S5_"
        a.je(package);
        a.inc(esi);
        a.dec(ecx);
        a.jnz(next);
        a.jmp(none);
        a.Label(ref package);
        a.movzx(eax, __byte_ptr[rsi + 5]); // after the PackageOp; its top bits say how many bytes the length goes on for
        a.shr(eax, 6);
        a.movzx(edx, __byte_ptr[rsi + rax + 7]); // behind the number of elements
        a.cmp(edx, 10);
        a.jne(direct);
        a.movzx(edx, __byte_ptr[rsi + rax + 8]);
        a.Label(ref direct);
        a.mov(eax, edx);
        a.and(eax, 7);
        a.shl(eax, 10);
        a.or(eax, 0x2000);
        a.mov(edx, edi);
        a.@out(dx, ax);
        a.Label(ref none);
        a.nop();
        Stop();
    }

    /// <summary>EXECUTE_OPERATION to END: the command status.</summary>
    private void Execute()
    {
        Label busy = a.CreateLabel();
        Erst(ExecuteOperation);
        a.Label(ref busy);
        a.nop();
        Erst(CheckBusyStatus);
        a.test(eax, eax);
        a.jnz(busy);
        Erst(GetCommandStatus);
        a.push(rax);
        Erst(EndOperation);
        a.pop(rax);
    }

    private void Erst(int action)
    {
        a.mov(edi, action);
        a.call(erst);
    }

    private static byte[] RecordTemplate()
    {
        var record = new byte[TextOffset + ReportHeadline.Length];
        "CPER"u8.CopyTo(record);
        BitConverter.TryWriteBytes(record.AsSpan(4), (ushort)0x0100);
        record.AsSpan(6, 4).Fill(0xFF);
        record[10] = 1; // sections
        record[12] = 1; // fatal
        new Guid("75a574e3-5052-4b29-8a8e-be2c6490b89d").TryWriteBytes(record.AsSpan(64)); // creator: pstore's format
        Span<byte> section = record.AsSpan(128);
        BitConverter.TryWriteBytes(section, (uint)TextOffset);
        BitConverter.TryWriteBytes(section[8..], (ushort)0x0100);
        section[12] = 1; // primary
        new Guid("c197e04e-d545-4a70-9c17-a5549419eb12").TryWriteBytes(section[16..]);
        section[48] = 1; // fatal
        ReportHeadline.CopyTo(section[72..]);
        return record;
    }
}
