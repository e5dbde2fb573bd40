"""Examines the machine gdb is connected to and prints what it finds as JSON.

    gdb -batch -ex 'target remote 127.0.0.1:1234' -x scripts/gdb/inspect_machine.py

With symbols loaded the frames have names. Set $inspect_output to a file's name to have the report written there instead:

    gdb -batch -ex 'target remote …' -ex 'set $inspect_output = "report.json"' -x scripts/gdb/inspect_machine.py
"""

import json

import gdb

SYSTEM_REGISTERS = ("cr0", "cr2", "cr3", "cr4", "efer", "eflags", "fs_base", "gs_base", "k_gs_base", "lstar")
MOST_FRAMES = 64


def number(expression):
    """The value of an expression as a number; None when it cannot be had."""
    try:
        # Printed and read again: registers of flags are no integers, and cast to none of another size.
        return int(gdb.parse_and_eval(expression).format_string(format="x"), 16)
    except (gdb.error, ValueError):
        return None


def monitor(command):
    """The lines a monitor command prints."""
    try:
        return gdb.execute("monitor " + command, to_string=True).splitlines()
    except gdb.error as failure:
        return ["error: %s" % failure]


def frames():
    """The call stack as far as gdb can follow it."""
    found = []
    frame = gdb.newest_frame()
    while frame is not None and len(found) < MOST_FRAMES:
        found.append({"pc": "0x%x" % frame.pc(), "function": frame.name()})
        try:
            frame = frame.older()
        except gdb.error:
            break
    return found


def code(address):
    """The instructions that would be executed next."""
    try:
        return [
            {"address": "0x%x" % one["addr"], "text": one["asm"]}
            for one in gdb.selected_inferior().architecture().disassemble(address, count=4)
        ] if hasattr(gdb.selected_inferior(), "architecture") else gdb.execute("x/4i $pc", to_string=True).splitlines()
    except gdb.error as failure:
        return ["error: %s" % failure]


def threads():
    """Every vCPU and every task with its registers; what a waiting task does not have is null."""
    before = gdb.selected_thread()
    found = []
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda one: one.num):
        thread.switch()
        found.append({
            "number": thread.num,
            "name": thread.name,
            "registers": {name: format_hex(number("$" + name)) for name in ("rip", "rsp", "rbp") + SYSTEM_REGISTERS},
            "frames": frames(),
        })
    if before is not None:
        before.switch()
    return found


def format_hex(value):
    return None if value is None else "0x%x" % value


def report():
    pc = number("$rip")
    return {
        "stopped": monitor("where"),
        "machine": monitor("info"),
        "panic": monitor("panic"),
        "log": monitor("dmesg")[-20:],
        "threads": threads(),
        "code": code(pc) if pc is not None else [],
        "translation": monitor("walk 0x%x" % pc) if pc is not None else [],
    }


def main():
    text = json.dumps(report(), indent=2)
    output = gdb.convenience_variable("inspect_output")
    if output is None:
        print(text)
    else:
        with open(output.string(), "w", encoding="utf-8") as file:
            file.write(text + "\n")


main()
