namespace Cli.Pages;

/// <summary>How a crash page looks: plain, dense, in the reader's light or dark, and on paper.</summary>
internal static class CrashPageStyle
{
    /// <summary>The style sheet. Classes k0 … k8 are the kinds of <see cref="PageKind"/>.</summary>
    public const string Sheet = """
        :root { color-scheme: light dark; --back: #fff; --text: #1c1e21; --dim: #667; --line: #d8dae0; --panel: #f5f6f8; --mark: #ffe08a; --crash: #b3261e; --report: #fdf1f0; }
        @media (prefers-color-scheme: dark) { :root { --back: #16181c; --text: #e4e6ea; --dim: #99a; --line: #363a42; --panel: #1e2127; --mark: #6b5200; --crash: #ff8a80; --report: #2b1d1d; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
        header { padding: 1rem 1.5rem .5rem; border-bottom: 1px solid var(--line); background: var(--panel); position: sticky; top: 0; z-index: 1; }
        h1 { margin: 0; font-size: 1.25rem; color: var(--crash); overflow-wrap: anywhere; }
        header p { margin: .2rem 0 .5rem; color: var(--dim); }
        nav a { margin-right: 1rem; }
        a { color: inherit; }
        main { padding: 0 1.5rem 3rem; max-width: 80rem; }
        section { scroll-margin-top: 7rem; }
        h2 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; border-bottom: 1px solid var(--line); }
        h3 { font-size: .95rem; margin: .8rem 0 .3rem; }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: 0; }
        dt { color: var(--dim); }
        dd { margin: 0; overflow-wrap: anywhere; }
        pre, code, .stack, .registers, .address, dd { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .85rem; }
        pre { background: var(--panel); border: 1px solid var(--line); padding: .5rem .7rem; overflow-x: auto; margin: 0; }
        details pre.log { max-height: 42rem; overflow-y: auto; }
        mark { background: var(--mark); color: inherit; font-weight: 600; scroll-margin-top: 9rem; }
        pre mark, pre .report { display: inline-block; min-width: 100%; }
        .report { background: var(--report); }
        .stack { margin: .2rem 0; padding-left: 3rem; }
        .culprit { color: var(--crash); font-weight: 700; }
        .crash { color: var(--crash); }
        .address { color: var(--dim); }
        .registers { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: .1rem .8rem; }
        .registers b { display: inline-block; min-width: 8.2rem; color: var(--dim); font-weight: 400; }
        .problem { border-left: 4px solid var(--crash); padding: .2rem .6rem; background: var(--report); }
        table { border-collapse: collapse; }
        th { text-align: left; color: var(--dim); font-weight: 400; }
        th, td { padding: .1rem .9rem .1rem 0; vertical-align: top; border-bottom: 1px solid var(--line); }
        tr.running td { font-weight: 600; }
        .number { text-align: right; }
        summary { cursor: pointer; }
        .kinds td { border: 0; }
        .map { display: flex; flex-wrap: wrap; gap: 1px; max-width: 64rem; }
        .cell { display: inline-block; width: .8rem; height: .8rem; }
        .k0 { background: #e4e8ee; } .k1 { background: #b9c3d3; } .k2 { background: #6aa9e9; } .k3 { background: #57b894; } .k4 { background: #e0a13a; }
        .k5 { background: #c4574c; } .k6 { background: #8d8d95; } .k7 { background: #d2d2d8; } .k8 { background: repeating-linear-gradient(45deg, #bbb 0 2px, #777 2px 4px); }
        @media (prefers-color-scheme: dark) { .k0 { background: #2c3139; } .k1 { background: #4d5768; } .k7 { background: #3a3a40; } }
        @media print { header { position: static; } pre.log { max-height: none; } details > * { display: block; } }
        """;
}
