/** The look of the page: light, or dark where the reader prefers that. */
export const PAGE_STYLE = `
:root{color-scheme:light dark;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;--paper:#fff;
--ink:#1b232c;--soft:#3f4a56;--muted:#667080;--line:#e6e8eb;--raised:#f7f8f9;--accent:#0f766e;
--other:#7b8794;--stage1:#0b4f4a;--stage2:#14857b;--stage3:#45b3a6;--stage4:#a3ddd4;
--series1:#0f766e;--series2:#c2570c;--series3:#2b59c3;--series4:#a21caf;--series5:#9a7b0a;
--series6:#b4233c;--series7:#4d7c0f;--series8:#64748b}
@media (prefers-color-scheme:dark){:root{--paper:#11151a;--ink:#e6e9ec;--soft:#bcc4cc;
--muted:#8e99a5;--line:#262d35;--raised:#181d23;--accent:#35c4b4;--other:#7f8b98;--stage1:#d3f3ee;
--stage2:#86ddd2;--stage3:#35a99c;--stage4:#1d6760;
--series1:#35c4b4;--series2:#f2994a;--series3:#7ea6ff;--series4:#d98be6;--series5:#d6b83a;
--series6:#f2788b;--series7:#9ccc5a;--series8:#9aa6b2}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.55 var(--sans);
-webkit-text-size-adjust:100%}
main{max-width:1040px;margin:0 auto;padding:56px 28px 96px}
h1{font-size:30px;line-height:1.2;letter-spacing:-.015em;margin:0 0 8px}
h2{font-size:22px;letter-spacing:-.01em;margin:0 0 6px}
h3{font-size:15px;margin:40px 0 4px}
p{margin:6px 0;max-width:78ch}
a{color:inherit;text-decoration-color:var(--muted);text-underline-offset:3px}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:24px 0 0}
header .scroll{margin-top:28px}
section{margin-top:72px;padding-top:32px;border-top:1px solid var(--line)}
.muted,.note{color:var(--muted);font-size:13.5px}
.note{line-height:1.5}
.scroll{overflow-x:auto;margin:16px 0 8px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:14px;
min-width:min(100%,420px)}
th{font-weight:600;color:var(--soft);text-align:left;vertical-align:bottom;font-size:13px;
border-bottom:1px solid var(--other)}
th small{color:var(--muted);font-weight:400}
th,td{padding:7px 18px 7px 0;white-space:nowrap}
th:last-child,td:last-child{padding-right:0}
td{border-bottom:1px solid var(--line);vertical-align:baseline}
.number{text-align:right}
th:has(+.range),td:has(+.range){padding-right:8px}
.range{color:var(--muted);font-size:12.5px}
tr:not(.subject)+tr.subject td{border-top:2px solid var(--line)}
thead td{border-bottom:1px solid var(--other)}
tbody th{border-bottom:1px solid var(--line)}
tr.subject td:first-child{color:var(--accent);font-weight:650}
details{margin-top:20px}
summary{cursor:pointer;color:var(--soft);font-size:14px}
.figure{margin:12px 0 0;overflow-x:auto}
.figure svg{display:block;max-width:100%;height:auto;min-width:640px}
.figure svg.key{min-width:0;margin-bottom:6px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));
gap:24px 40px;margin-top:14px}
.plot h4{font-size:13px;font-weight:600;color:var(--soft);margin:0 0 2px}
.skipped{margin:14px 0 0;padding:10px 14px;background:var(--raised);border-radius:6px;
font-size:13.5px;max-width:none}
.skipped ul{margin:4px 0 0;padding-left:18px}
svg text{font:13px var(--sans);fill:var(--ink);font-variant-numeric:tabular-nums}
svg .muted,svg .mark{fill:var(--muted);font-size:12px}
svg .reason{stroke:var(--paper);stroke-width:5px;paint-order:stroke}
svg .name{fill:var(--soft)}
svg .subject{fill:var(--accent);font-weight:650}
.grid{stroke:var(--line)}
.axis{stroke:var(--muted);stroke-dasharray:3 3}
.accent.dot,.accent.fill,.accent.pale,.accent.band{fill:var(--accent)}
.other.dot,.other.fill,.other.pale,.other.band{fill:var(--other)}
.band{opacity:.22}
.pale{opacity:.4}
.accent.stem,.accent.begin,.accent.ring{stroke:var(--accent);stroke-width:2}
.other.stem,.other.begin,.other.ring{stroke:var(--other);stroke-width:2}
.ring{fill:var(--paper)}
.whisker{fill:none;stroke:var(--ink);stroke-width:1.25}
.stage1{fill:var(--stage1)}.stage2{fill:var(--stage2)}.stage3{fill:var(--stage3)}.stage4{
fill:var(--stage4)}
.u-legend.u-inline{text-align:left;font-size:12.5px;color:var(--soft);margin:6px 0 0}
.u-legend.u-inline tr{margin-right:12px}
.u-legend th,.u-legend td{border:0;padding:1px 3px;color:inherit;font-size:12.5px}
.u-legend th{font-weight:400}
.u-legend .u-marker{width:12px;height:3px;border-radius:2px}
.u-legend .u-value{font-variant-numeric:tabular-nums;min-width:3.6em}
@media print{section{break-inside:avoid}nav{display:none}}
`
