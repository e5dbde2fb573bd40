"""What memory is used for, as the guest's own kernel counts it, and its slab caches by size.

    gdbstub inspect latest -p scripts/gdb/memory.py
    gdb -ex 'target remote 127.0.0.1:1234' -x scripts/gdb/memory.py

Needs the kernel's types, which gdbstub makes from the guest's BTF. Numbers are /proc/meminfo's and /proc/slabinfo's, but
for what lies in per-CPU counters. What a kernel lacks is left out.
"""

import gdb

PAGE = 4096
MOST_CACHES = 25
LONGEST_LIST = 10000


def address(symbol):
    """Where a variable of the kernel's is; None when there is none."""
    try:
        return int(gdb.parse_and_eval("(unsigned long)&'%s'" % symbol))
    except gdb.error:
        return None


def at(type_name, where):
    """What is at an address, by its type."""
    return gdb.Value(where).cast(gdb.lookup_type(type_name).pointer()).dereference()


def has(value, *names):
    """Whether a structure has these members."""
    fields = {field.name for field in value.type.strip_typedefs().fields()}
    return all(name in fields for name in names)


def counters(symbol, enumeration):
    """The kernel's array of counters, by the names of its enumeration."""
    base = address(symbol)
    found = {}
    if base is not None:
        for field in gdb.lookup_type("enum " + enumeration).fields():
            if not field.name.startswith("NR_VM_"):
                found[field.name] = int(at("unsigned long", base + 8 * field.enumval).cast(gdb.lookup_type("long")))
    return found


def kibibytes(pages):
    return pages * PAGE // 1024


def memory():
    zone, node = counters("vm_zone_stat", "zone_stat_item"), counters("vm_node_stat", "node_stat_item")
    total = address("_totalram_pages")
    lines = [("MemTotal", int(at("unsigned long", total)) if total is not None else None), ("MemFree", zone.get("NR_FREE_PAGES"))]
    for name, counter in (("Active(anon)", "NR_ACTIVE_ANON"), ("Inactive(anon)", "NR_INACTIVE_ANON"), ("Active(file)", "NR_ACTIVE_FILE"),
                          ("Inactive(file)", "NR_INACTIVE_FILE"), ("Unevictable", "NR_UNEVICTABLE"), ("Dirty", "NR_FILE_DIRTY"), ("Writeback", "NR_WRITEBACK"),
                          ("AnonPages", "NR_ANON_MAPPED"), ("Mapped", "NR_FILE_MAPPED"), ("Shmem", "NR_SHMEM"), ("PageTables", "NR_PAGETABLE")):
        lines.append((name, node.get(counter)))
    for name, counter in (("SReclaimable", "NR_SLAB_RECLAIMABLE_B"), ("SUnreclaim", "NR_SLAB_UNRECLAIMABLE_B")):
        lines.append((name, node.get(counter)))
    if "NR_KERNEL_STACK_KB" in node:
        lines.append(("KernelStack", node["NR_KERNEL_STACK_KB"] * 1024 // PAGE))
    print("memory:")
    for name, pages in lines:
        if pages is not None:
            print("  %-15s %10d kB" % (name, kibibytes(pages)))


def caches():
    """Every slab cache: name, bytes of an object, objects, slabs, pages."""
    head = address("slab_caches")
    if head is None:
        return
    cache_type = gdb.lookup_type("struct kmem_cache")
    link = next(field for field in cache_type.fields() if field.name == "list").bitpos // 8
    where = int(at("struct list_head", head)["next"])
    for _ in range(LONGEST_LIST):
        if where == head:
            return
        cache = at("struct kmem_cache", where - link)
        yield cache
        where = int(cache["list"]["next"])
    print("the list of slab caches goes on after %d, or round" % LONGEST_LIST)


def slabs():
    rows = []
    for cache in caches():
        # mm/slub.c: the objects of a slab in the lower half of the word, its order above.
        order = int(cache["oo"]["x"]) >> 16 if has(cache, "oo") else 0
        objects = count = 0
        for index in range(cache["node"].type.range()[1] + 1):
            if int(cache["node"][index]) == 0:
                continue
            node = cache["node"][index].dereference()
            if has(node, "nr_slabs", "total_objects"):
                count += int(node["nr_slabs"]["counter"])
                objects += int(node["total_objects"]["counter"])
            break  # further nodes of a machine with one are not there
        rows.append((count << order, cache["name"].string(errors="replace"), int(cache["size"]), objects, count))
    rows.sort(reverse=True)
    print("\nslab caches, the largest %d of %d:" % (min(MOST_CACHES, len(rows)), len(rows)))
    print("  %10s  %8s  %8s  %6s  %s" % ("kB", "objects", "size", "slabs", "name"))
    for pages, name, size, objects, count in rows[:MOST_CACHES]:
        print("  %10d  %8d  %8d  %6d  %s" % (kibibytes(pages), objects, size, count, name))
    print("  %10d  in all" % kibibytes(sum(row[0] for row in rows)))


memory()
slabs()
