/** Stands in the page itself, so that it needs no second request. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ink: light-dark(#1b1f24, #e6e9ee); --soft: light-dark(#57606a, #9aa4b0);
  --paper: light-dark(#f6f7f9, #14171b); --card: light-dark(#ffffff, #1d2126);
  --line: light-dark(#d8dde3, #343a42); --accent: light-dark(#0b5cad, #6cb2ff);
  --on-accent: light-dark(#ffffff, #0d1117);
  --good: light-dark(#116329, #6fdd8b); --good-back: light-dark(#dcf5e3, #12331d);
  --warn: light-dark(#8a4600, #f5b95f); --warn-back: light-dark(#fff0d9, #3a2a10);
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
header, main { max-width: 68rem; margin: 0 auto; padding: 1rem 1.25rem; }
header { display: flex; flex-wrap: wrap; gap: .75rem 2rem; align-items: center;
  justify-content: space-between; }
h1 { margin: 0; font-size: 1.6rem; letter-spacing: -.01em; }
h2 { margin: 0 0 .75rem; font-size: 1.1rem; }
dl { display: flex; flex-wrap: wrap; gap: .5rem 1.75rem; margin: 0; }
dt { font-size: .8rem; color: var(--soft); }
dd { margin: 0; font-weight: 600; }
section { margin: 0 0 1.25rem; padding: 1.1rem 1.25rem 1.25rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .6rem; min-width: 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  gap: 0 1.25rem; }
.scroll { position: relative; overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .45rem .75rem .45rem 0; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: middle; }
.long { min-width: 8rem; overflow-wrap: anywhere; }
thead th { font-size: .8rem; font-weight: 500; color: var(--soft); }
tbody th { font-weight: 600; white-space: nowrap; }
time, code { font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
.acts { width: 1%; white-space: nowrap; text-align: right; padding-right: 0; }
.acts form { display: inline-block; }
.badge { display: inline-block; white-space: nowrap; padding: .05rem .6rem; border-radius: 1rem;
  font-size: .85rem; font-weight: 600;
  color: var(--good); background: var(--good-back); }
.badge.stale, .badge.standby { color: var(--warn); background: var(--warn-back); }
.badge.replica { color: var(--accent); background: transparent;
  box-shadow: inset 0 0 0 1px currentColor; }
.add { display: flex; flex-wrap: wrap; gap: .75rem; align-items: end; margin-top: 1rem; }
.add div { flex: 1 1 9rem; min-width: 0; }
label { display: block; margin-bottom: .2rem; font-size: .85rem; color: var(--soft); }
input, select, button { font: inherit; border-radius: .4rem; min-height: 2.4rem; }
input, select { width: 100%; padding: .3rem .6rem; color: inherit; background: var(--paper);
  border: 1px solid var(--soft); }
input::placeholder { color: var(--soft); opacity: 1; }
button { padding: .3rem 1rem; border: 1px solid transparent; background: var(--accent);
  color: var(--on-accent);
  font-weight: 600; cursor: pointer; }
button.small { min-height: 1.9rem; padding: .1rem .7rem; font-size: .85rem; font-weight: 500;
  color: var(--accent);
  background: transparent; border-color: var(--line); }
button:hover { filter: brightness(1.1); }
button.small:hover { border-color: currentColor; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.hint { margin: .25rem 0; color: var(--soft); }
.refused { margin: 0 0 1.25rem; padding: .7rem 1rem; border-radius: .6rem; color: var(--warn);
  background: var(--warn-back);
  font-weight: 600; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
`
