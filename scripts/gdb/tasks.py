"""The stack of every task, those that are alike once.

    gdbstub inspect latest -p scripts/gdb/tasks.py
    gdb -ex 'target remote 127.0.0.1:1234' -x scripts/gdb/tasks.py

Hung tasks stand out: they wait (D) where others do not. Set $tasks_each = 1 to have each task by itself.
"""

import re

import gdb

MOST_FRAMES = 64


def tasks():
    """The threads that are tasks of the guest's kernel, by number."""
    threads = sorted(gdb.selected_inferior().threads(), key=lambda one: one.num)
    found = [one for one in threads if not (one.name or "").startswith("vCPU")]
    if not found:
        raise gdb.GdbError("this target lists no tasks as threads: serve it with --threads tasks")
    return found


def frames():
    """Function names and places of the selected thread's stack, innermost first."""
    stack = []
    frame = gdb.newest_frame()
    while frame is not None and len(stack) < MOST_FRAMES:
        stack.append((frame.name() or "??", frame.pc()))
        try:
            frame = frame.older()
        except gdb.error:
            break
    return tuple(stack)


def label(thread):
    """A task's name, number and state, as `info threads` shows them."""
    details = thread.details or ""
    pid = re.search(r"pid (\d+)", details)
    state = re.search(r"pid \d+, ([^)]*)", details)
    return "%s(%s%s)" % (thread.name, pid.group(1) if pid else thread.ptid[2], ", " + state.group(1) if state else "")


def main():
    before = gdb.selected_thread()
    each = gdb.convenience_variable("tasks_each")
    alike = {}
    for thread in tasks():
        thread.switch()
        stack = frames()
        key = (thread.num, stack) if each else stack
        alike.setdefault(key, (stack, []))[1].append(label(thread))
    if before is not None:
        before.switch()
    for stack, names in sorted(alike.values(), key=lambda one: len(one[1])):
        print("%d task%s: %s" % (len(names), "" if len(names) == 1 else "s", " ".join(names)))
        for level, (name, pc) in enumerate(stack):
            print("  #%-2d 0x%016x %s" % (level, pc, name))
        print()
    print("%d tasks, %d different stacks" % (sum(len(names) for _, names in alike.values()), len(alike)))


main()
