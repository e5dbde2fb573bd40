"""The first look at a crash: what it is called, the stack of every CPU, the code around the culprit, the end of the log.

    gdbstub inspect latest -p scripts/gdb/triage.py
    gdb -ex 'target remote 127.0.0.1:1234' -x scripts/gdb/triage.py
"""

import re

import gdb

LOG_LINES = 40
BEFORE_CRASH = 5
CRASH = re.compile(r"BUG:|Oops|general protection fault|kernel BUG at|Kernel panic - not syncing|watchdog: BUG|WARNING: CPU")
DYING = re.compile(r"panic|die$|oops|emergency_restart|acpi_(reboot|reset|os_write_port)|machine_restart|kexec|^(__)?(const_)?[un]delay|dump_stack")


def known(name):
    """A convenience variable that gdbstub inspect sets, as text; empty elsewhere."""
    value = gdb.convenience_variable(name)
    if value is None:
        return ""
    try:
        return value.string()
    except gdb.error:
        return hex(int(value))


def monitor(command):
    """The lines of a monitor command."""
    return gdb.execute("monitor " + command, to_string=True).splitlines()


def heading(words):
    print("\n--- %s" % words)


def facts():
    for name, variable in (("crash", "panic_title"), ("kernel said", "panic_line"), ("fault", "panic_fault"), ("machine", "machine_name"),
                           ("release", "guest_release"), ("build id", "build_id"), ("kaslr", "kaslr_offset"), ("command line", "command_line")):
        if known(variable):
            print("%-13s%s" % (name + ":", known(variable)))
    if not known("panic_title"):
        print("\n".join(monitor("info")))


def cpus():
    """The threads that are CPUs; on a target that lists nothing else, all."""
    threads = sorted(gdb.selected_inferior().threads(), key=lambda one: one.num)
    return [one for one in threads if (one.name or "").startswith("vCPU")] or threads


def stack_and_code():
    culprit = None
    for thread in cpus():
        thread.switch()
        heading("stack of %s" % (thread.name or "thread %d" % thread.num))
        gdb.execute("bt 64")
        frame = gdb.newest_frame()
        while culprit is None and frame is not None:
            if frame.name() and not DYING.search(frame.name()):
                culprit = frame
                break
            try:
                frame = frame.older()
            except gdb.error:
                break
        if culprit is not None:
            heading("code of %s" % culprit.name())
            culprit.select()
            gdb.execute("x/6i $pc - (%d)" % back(culprit))
            culprit = None
            gdb.newest_frame().select()


def back(frame):
    """Bytes to go back from a frame's place to the beginning of the instruction before it."""
    start = frame.function().symtab if frame.function() and frame.function().symtab else None
    block = gdb.block_for_pc(frame.pc()) if start else None
    begin = block.start if block else frame.pc()
    if frame.level() == 0 or not 0 < frame.pc() - begin < 65536:
        return 0
    previous = begin
    for one in frame.architecture().disassemble(begin, frame.pc() - 1):
        previous = one["addr"]
    return frame.pc() - previous


def log():
    lines = monitor("dmesg")
    crash = next((i for i, line in enumerate(lines) if CRASH.search(line)), None)
    first = max(0, crash - BEFORE_CRASH) if crash is not None else max(0, len(lines) - LOG_LINES)
    heading("log, lines %d to %d of %d" % (first + 1, min(len(lines), first + LOG_LINES + BEFORE_CRASH), len(lines)))
    print("\n".join(lines[first:first + LOG_LINES + BEFORE_CRASH]))


def main():
    before = gdb.selected_thread()
    facts()
    stack_and_code()
    if before is not None:
        before.switch()
    log()


main()
