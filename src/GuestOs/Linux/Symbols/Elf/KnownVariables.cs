namespace GuestOs.Linux.Symbols.Elf;

/// <summary>How a variable is made of its type.</summary>
internal enum VariableShape
{
    /// <summary>It is one.</summary>
    One,

    /// <summary>A pointer to one.</summary>
    Pointer,

    /// <summary>An array of them.</summary>
    Array,

    /// <summary>An array of pointers to them.</summary>
    PointerArray,
}

/// <summary>
/// Variables one looks at first. BTF types per-CPU variables only (others since pahole 1.29, where a kernel asks for it);
/// their types have been these for as long as there is BTF, and one that a kernel does not have is left out.
/// </summary>
internal static class KnownVariables
{
    public static readonly (string Symbol, string Type, BtfKind Kind, VariableShape Shape)[] All =
    [
        ("init_task", "task_struct", BtfKind.Struct, VariableShape.One),
        ("init_mm", "mm_struct", BtfKind.Struct, VariableShape.One),
        ("init_cred", "cred", BtfKind.Struct, VariableShape.One),
        ("init_fs", "fs_struct", BtfKind.Struct, VariableShape.One),
        ("init_files", "files_struct", BtfKind.Struct, VariableShape.One),
        ("init_nsproxy", "nsproxy", BtfKind.Struct, VariableShape.One),
        ("init_pid_ns", "pid_namespace", BtfKind.Struct, VariableShape.One),
        ("init_user_ns", "user_namespace", BtfKind.Struct, VariableShape.One),
        ("init_uts_ns", "uts_namespace", BtfKind.Struct, VariableShape.One),
        ("init_net", "net", BtfKind.Struct, VariableShape.One),
        ("net_namespace_list", "list_head", BtfKind.Struct, VariableShape.One),
        ("modules", "list_head", BtfKind.Struct, VariableShape.One),
        ("super_blocks", "list_head", BtfKind.Struct, VariableShape.One),
        ("slab_caches", "list_head", BtfKind.Struct, VariableShape.One),
        ("vmap_area_list", "list_head", BtfKind.Struct, VariableShape.One),
        ("pci_root_buses", "list_head", BtfKind.Struct, VariableShape.One),
        ("console_drivers", "console", BtfKind.Struct, VariableShape.Pointer),
        ("file_systems", "file_system_type", BtfKind.Struct, VariableShape.Pointer),
        ("iomem_resource", "resource", BtfKind.Struct, VariableShape.One),
        ("ioport_resource", "resource", BtfKind.Struct, VariableShape.One),
        ("prb", "printk_ringbuffer", BtfKind.Struct, VariableShape.Pointer),
        ("printk_rb_static", "printk_ringbuffer", BtfKind.Struct, VariableShape.One),
        ("root_task_group", "task_group", BtfKind.Struct, VariableShape.One),
        ("node_data", "pglist_data", BtfKind.Struct, VariableShape.PointerArray),
        ("contig_page_data", "pglist_data", BtfKind.Struct, VariableShape.One),
        ("mem_section", "mem_section", BtfKind.Struct, VariableShape.Pointer),
        ("boot_cpu_data", "cpuinfo_x86", BtfKind.Struct, VariableShape.One),
        ("boot_params", "boot_params", BtfKind.Struct, VariableShape.One),
        ("irq_desc", "irq_desc", BtfKind.Struct, VariableShape.Array),
        ("idt_table", "gate_desc", BtfKind.Typedef, VariableShape.Array),
        ("rcu_state", "rcu_state", BtfKind.Struct, VariableShape.One),
        ("cgrp_dfl_root", "cgroup_root", BtfKind.Struct, VariableShape.One),
        ("page_offset_base", "long unsigned int", BtfKind.Int, VariableShape.One),
        ("vmalloc_base", "long unsigned int", BtfKind.Int, VariableShape.One),
        ("vmemmap_base", "long unsigned int", BtfKind.Int, VariableShape.One),
        ("phys_base", "long unsigned int", BtfKind.Int, VariableShape.One),
        ("max_pfn", "long unsigned int", BtfKind.Int, VariableShape.One),
        ("jiffies", "long unsigned int", BtfKind.Int, VariableShape.One),
        ("tainted_mask", "long unsigned int", BtfKind.Int, VariableShape.One),
        ("__per_cpu_offset", "long unsigned int", BtfKind.Int, VariableShape.Array),
        ("nr_cpu_ids", "unsigned int", BtfKind.Int, VariableShape.One),
        ("panic_cpu", "atomic_t", BtfKind.Typedef, VariableShape.One),
        ("panic_timeout", "int", BtfKind.Int, VariableShape.One),
        ("panic_on_oops", "int", BtfKind.Int, VariableShape.One),
        ("oops_in_progress", "int", BtfKind.Int, VariableShape.One),
        ("system_state", "system_states", BtfKind.Enum, VariableShape.One),
        ("nr_threads", "int", BtfKind.Int, VariableShape.One),
        ("linux_banner", "char", BtfKind.Int, VariableShape.Array),
        ("saved_command_line", "char", BtfKind.Int, VariableShape.Pointer),
        ("boot_command_line", "char", BtfKind.Int, VariableShape.Array),
        ("log_buf", "char", BtfKind.Int, VariableShape.Pointer),
    ];
}
