/**
 * The report of the benchmarks, from results made here, and the figures of the README, from the
 * kept results.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { describeCommit } from '../../bench/machine.ts'
import { parseCommand, SUITE_NAMES, SUITES_OF_ALL, UsageError } from '../../bench/options.ts'
import { embeddableJson, escapeMarkdown, escapeMarkup } from '../../bench/report/escape.ts'
import { columnTitle, figure, milliseconds, share, withRange } from '../../bench/report/figures.ts'
import { goalsOf } from '../../bench/report/goals.ts'
import { reportHtml } from '../../bench/report/html.ts'
import { readmeBlock, replaceBlock } from '../../bench/report/readme.ts'
import { parseResult, readResults } from '../../bench/report/readResults.ts'
import { SVG_FILE, writeReport } from '../../bench/report/report.ts'
import { decades, linear } from '../../bench/report/scale.ts'
import { byRateData } from '../../bench/report/sections.ts'
import {
  lagByRate,
  skippedSystems,
  stagesOf,
  summarize,
  writerCases,
} from '../../bench/report/summary.ts'
import { summarySvg } from '../../bench/report/svg.ts'
import type { KeptResult, KeptRow } from '../../bench/result.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const folder = mkdtempSync(join(tmpdir(), 'walcast-report-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const CASE = { pages: 1, replicas: 1, readers: 'idle', pin: 'none' }
const HOSTILE =
  '</script><!-- bench:end --><img src=x onerror=alert(1)>"\'&`|*_[a](b)\n\u0000\ud800'

function made(
  suite: string,
  rows: readonly KeptRow[],
  changes: Partial<KeptResult> = {},
): KeptResult {
  const machine = {
    cpu: 'Chip 3000',
    cores: 2,
    mem: '4.0 GiB',
    kernel: '6.1',
    node: 'v20.19.0',
    fileSystem: 'ext4',
    busyBeforePercent: 1,
    busyAfterPercent: 2,
  }
  return {
    suite,
    at: '2026-01-31T12:34:56.000Z',
    machine,
    commit: 'abc1234',
    rows,
    ratios: {},
    ...changes,
  }
}

function lagRow(system: string, rate: number, p50Ms: number, p99Ms: number): KeptRow {
  return {
    system,
    rate,
    ...CASE,
    rounds: 3,
    p50Ms,
    p50MsRange: [p50Ms / 2, p50Ms * 2],
    p99Ms,
    fromBegunP50Ms: p50Ms,
  }
}

const LAG = made('lag', [
  { ...lagRow('walcast', 10, 0.8, 1.5), stagesP50Ms: '0.03 + 0.00 + 0.18 + 0.09' },
  lagRow('other', 10, 8, 15),
  {
    system: 'third',
    rate: 10,
    ...CASE,
    rounds: 0,
    p50Ms: null,
    p99Ms: null,
    skipped: 'no such program',
  },
  lagRow('walcast', 200, 0.5, 1.25),
  lagRow('other', 200, 0, 400),
  {
    system: 'third',
    rate: 200,
    ...CASE,
    rounds: 0,
    p50Ms: null,
    p99Ms: null,
    skipped: 'no such program',
  },
  { ...lagRow('walcast', 200, 5, 9), pages: 100 },
])

const THROUGHPUT = made('throughput', [
  {
    system: 'walcast',
    rate: 'full',
    autocheckpoint: 1000,
    pin: 'none',
    rounds: 3,
    aloneCommitsPerSecond: 50_000,
    commitsPerSecond: 46_500,
    commitsPerSecondRange: [45_000, 47_000],
    ratio: 0.93,
    ratioRange: [0.9, 0.95],
  },
  {
    system: 'third',
    rate: 'full',
    autocheckpoint: 1000,
    pin: 'none',
    rounds: 0,
    skipped: 'no such program',
  },
  { system: 'walcast', rate: 5000, autocheckpoint: 1000, pin: 'none', rounds: 3, ratio: 1 },
])

test('the summary takes 200 a second, the first other cases, and full speed', () => {
  const { lag, writer } = summarize([THROUGHPUT, LAG])
  assert.equal(lag?.comparison.rate, 200)
  assert.equal(lag?.comparison.rounds, 3)
  assert.deepEqual(
    lag?.comparison.lines.map(({ system, p50, skipped }) => [system, p50?.value, skipped]),
    [
      ['walcast', 0.5, undefined],
      ['other', 0, undefined],
      ['third', undefined, 'no such program'],
    ],
  )
  assert.deepEqual(lag?.comparison.lines[0].p50, { value: 0.5, range: [0.25, 1] })
  assert.deepEqual(lag?.comparison.lines[0].p99, { value: 1.25 })
  assert.equal(writer?.full.rate, 'full')
  assert.deepEqual(writer?.full.lines[0].ratio, { value: 0.93, range: [0.9, 0.95] })
  assert.equal(writer?.full.lines[1].skipped, 'no such program')
  assert.equal(writerCases(THROUGHPUT).length, 2)
  assert.deepEqual(skippedSystems(LAG), [{ system: 'third', reason: 'no such program' }])
})

test('without 200 a second the summary compares another rate, without rows nothing', () => {
  assert.equal(summarize([made('lag', [lagRow('walcast', 50, 1, 2)])]).lag?.comparison.rate, 50)
  assert.deepEqual(summarize([made('lag', []), made('throughput', [])]), {})
})

test('goals are judged by the ratios of the run, and name their figures', () => {
  const lag = made(
    'lag',
    [
      { ...lagRow('walcast', 200, 0.6, 1.5), floorMs: 0.25, lookMs: 0.14 },
      lagRow('postgres', 200, 0.5, 2),
    ],
    {
      ratios: {
        'p50 walcast/postgres@200': 1.2,
        'p50 walcast/postgres@200Range': [1.1, 1.3],
        'p50 from begun walcast/postgres@200': 0.45,
        'p99 walcast/postgres@200': 0.75,
      },
    },
  )
  assert.deepEqual(goalsOf([lag]), [
    {
      goal: "p50 at most half of PostgreSQL's asynchronous standby",
      result: '1.20 (1.10–1.30); from BEGIN 0.45',
      isMet: false,
      because: 'of 0.60 ms: file event and hop 0.25, half a look 0.07, walcast 0.28',
    },
    {
      goal: "p99 not above PostgreSQL's",
      result: '0.75',
      isMet: true,
      because: '',
    },
  ])
  const [fast, full] = goalsOf([THROUGHPUT])
  assert.deepEqual(
    [fast.result, fast.isMet, full.result, full.isMet],
    ['1.00', true, '0.93 (0.90–0.95)', true],
  )
  assert.deepEqual(goalsOf([]), [])
})

const HTTP = made('http', [
  {
    system: 'walcast',
    case: 'read',
    connections: 16,
    p50Ms: 2,
    directP50Ms: 0.5,
    overheadP50Ms: 1.5,
  },
  {
    ...{ system: 'walcast', case: 'read', connections: 1, p50Ms: 0.4, directP50Ms: 0.2 },
    ...{ overheadP50Ms: 0.2, overheadP50MsRange: [0.1, 0.3] },
  },
  {
    system: 'walcast',
    case: 'write',
    connections: 1,
    p50Ms: 2.5,
    nothingP50Ms: 1,
    waitP50Ms: 1.25,
  },
  { system: 'walcast', case: 'lag', connections: 16, rate: 1000, lagP99Ms: 50 },
  { system: 'walcast', case: 'lag', connections: 16, rate: 200, lagP99Ms: 4, perSecond: 12_345 },
])

test('http goals are in milliseconds, for one connection at the standard rate', () => {
  assert.deepEqual(goalsOf([HTTP]), [
    {
      goal: "a read through a replica's proxy at most 0.25 ms slower at p50",
      result: '0.20 (0.10–0.30) ms',
      isMet: true,
      because: '0.40 ms through the proxy, 0.20 ms asked directly',
    },
    {
      goal: "a forwarded write's wait for its own position at most 1 ms at p50",
      result: '1.25 ms',
      isMet: false,
      because: '2.50 ms forwarded, 1.00 ms without a commit',
    },
    {
      goal: 'p99 of lag under 5 ms at 200 commits a second under full reads',
      result: '4.00 ms',
      isMet: true,
      because: 'beside 12,345 reads a second',
    },
  ])
  const skipped = made('http', [{ system: 'walcast', rounds: 0, skipped: 'it wants autocannon' }])
  assert.deepEqual(goalsOf([skipped]), [])
  assert.match(readmeBlock([LAG, HTTP], 'picture.svg'), /\| 0\.20 \(0\.10–0\.30\) ms \| yes \|/)
  assert.match(reportHtml({ results: [HTTP, skipped], unreadable: [] }, new Map()), /id="http"/)
})

const FANOUT = made('fanout', [
  {
    system: 'walcast',
    topology: 'flat',
    replicas: 1,
    messagesPerBatch: 1,
    leaderUsPerBatchAndReplica: null,
  },
  {
    ...{ system: 'walcast', topology: 'flat', replicas: 100 },
    ...{ messagesPerBatch: 1, leaderUsPerBatchAndReplica: 50 },
  },
  {
    system: 'walcast',
    topology: 'two levels',
    replicas: 100,
    rounds: 0,
    skipped: 'no relays <here>',
  },
])
const LARGE = made('large', [
  {
    system: 'walcast',
    part: 'start',
    case: 'first start',
    fileMb: 10_000,
    seconds: 30,
    leaderRssMb: 150,
  },
  {
    ...{
      system: 'walcast',
      part: 'start',
      case: 'after SIGKILL',
      fileMb: 10_000,
      leaderRssMb: 160,
    },
    ...{ seconds: 19, secondsRange: [18, 21] },
  },
  {
    ...{ system: 'walcast', part: 'difference', case: '100 rows', fileMb: 10_000 },
    ...{ leaderRssMb: 150, replicaRssMb: 300, ofFilePercent: 0.25 },
  },
])

test('goals for many replicas and large databases take the worst row', () => {
  assert.deepEqual(
    goalsOf([FANOUT, LARGE]).map(({ goal, result, isMet }) => [goal, result, isMet]),
    [
      ['a batch is encoded once for 100 replicas', '1.00 times', true],
      ['RSS of a node under 256 MB', '300 MB', false],
      ['a leader ready in under 20 s after a restart', '19 (18–21) s', true],
      ['a resync of 100 rows under 1 % of the file', '0.25 %', true],
    ],
  )
  assert.deepEqual(goalsOf([made('fanout', []), made('large', [])]), [])
})

test('fanout and large have sections, large a table for each part', () => {
  const html = reportHtml({ results: [FANOUT, LARGE], unreadable: [] }, new Map())
  for (const text of [
    'id="fanout"',
    'no relays &lt;here&gt;',
    '<h3>start</h3>',
    '<h3>difference</h3>',
    '300 MB',
  ])
    assert.ok(html.includes(text), text)
  const empty = reportHtml(
    { results: [made('fanout', []), made('large', [])], unreadable: [] },
    new Map(),
  )
  assert.match(empty, /id="large"/)
})

test('plots have a point for every rate and no line for skipped systems', () => {
  const { rates, series } = lagByRate(LAG)
  assert.deepEqual(rates, [10, 200])
  assert.deepEqual(
    series.map(({ system, p50 }) => [system, p50]),
    [
      ['walcast', [0.8, 0.5]],
      ['other', [8, 0]],
    ],
  )
  const gap = lagByRate(made('lag', [lagRow('walcast', 10, 1, 2), lagRow('other', 200, 3, 4)]))
  assert.deepEqual(gap.series[1].p99, [null, 4])
  assert.deepEqual(
    byRateData(LAG).plots.map(({ series: lines }) => lines.map(({ color }) => color)),
    [
      [1, 2],
      [1, 2],
    ],
  )
})

test('stages come from the reports of the nodes', () => {
  assert.deepEqual(stagesOf(LAG), [{ name: '10/s', parts: [0.03, 0, 0.18, 0.09] }])
})

test('figures, ranges and column titles', () => {
  assert.equal(figure(46_500), '46,500')
  assert.equal(figure(1234), '1234')
  assert.deepEqual([0, 0.001, 0.5, 12.34, 507.9].map(milliseconds), [
    '0.00',
    '<0.01',
    '0.50',
    '12.3',
    '508',
  ])
  assert.equal(withRange({ value: 2, range: [1, 3] }), '2 (1–3)')
  assert.equal(withRange({ value: 2 }), '2')
  assert.equal(withRange({ value: 1, range: [0.9999, 1.001] }, share), '1.00')
  assert.deepEqual(columnTitle('fromDueP50Ms'), { name: 'from due p50', unit: 'ms' })
  assert.deepEqual(columnTitle('aloneMbPerSecond'), { name: 'alone', unit: 'MB/s' })
  assert.deepEqual(columnTitle('megabytesPerSecond'), { name: 'megabytes', unit: '/s' })
  assert.deepEqual(columnTitle('system'), { name: 'system', unit: '' })
})

test('axes hold all values, zeros too', () => {
  const lags = decades([0, 0.04, 508])
  assert.deepEqual(lags.marks, [0.01, 0.1, 1, 10, 100, 1000])
  assert.equal(lags.place(0), 0)
  assert.ok(Math.abs(lags.place(10) - 0.6) < 1e-9)
  assert.deepEqual(decades([]).marks, [1, 10])
  assert.deepEqual(linear([1]).marks, [0, 0.25, 0.5, 0.75, 1])
  assert.deepEqual(linear([59_551]).marks, [0, 20_000, 40_000, 60_000])
  assert.deepEqual(linear([]).marks[0], 0)
})

test('the picture shows values and ranges of every system, and why one is skipped', () => {
  const svg = summarySvg([LAG, THROUGHPUT])
  for (const text of [
    '>0.50 / 1.25<',
    '>0.93 (0.90–0.95)<',
    '>skipped: no such program<',
    'Chip 3000',
    'abc1234',
  ])
    assert.ok(svg.includes(text), text)
  assert.equal(svg.match(/>skipped: no such program</g)?.length, 2)
  assert.equal(svg.match(/class="accent band"/g)?.length, 1)
  assert.doesNotMatch(svg, /NaN|undefined|Infinity|https?:\/\/(?!www\.w3\.org\/2000\/svg)/)
  assert.match(summarySvg([]), /No results yet/)
})

test('the page has every suite, loads nothing, and names what is missing', () => {
  const idle = made('idle', [
    { system: 'walcast', node: 'leader', cpuPercent: 0.3, cpuPercentRange: [0.2, 0.4] },
  ])
  const read = {
    results: [LAG, THROUGHPUT, idle],
    unreadable: ['old.json is left out: "at" is missing'],
  }
  const html = reportHtml(read, new Map([['idle', 'How idle is taken.']]))
  for (const text of [
    'How idle is taken.',
    'old.json is left out',
    '<b>third</b>: no such program',
    '0.2–0.4',
  ])
    assert.ok(html.includes(text), text)
  assert.doesNotMatch(html, /<(link|img|iframe)|\ssrc=|@import|NaN/)
  assert.match(reportHtml({ results: [], unreadable: [] }, new Map()), /No results yet/)
})

test('text of a result file never becomes markup', () => {
  const row = { ...lagRow(HOSTILE, 200, 1, 2), readers: HOSTILE, stagesP50Ms: '1+1+1+1' }
  const skipped = {
    system: HOSTILE,
    rate: 200,
    ...CASE,
    readers: HOSTILE,
    rounds: 0,
    skipped: HOSTILE,
  }
  const writer = {
    ...THROUGHPUT.rows[0],
    system: HOSTILE,
    autocheckpoint: HOSTILE,
    [HOSTILE]: HOSTILE,
  }
  const results = [
    made('lag', [row, skipped, { ...row, rate: 10 }], {
      commit: HOSTILE,
      ratios: { [HOSTILE]: 1 },
    }),
    made('throughput', [writer]),
    made(HOSTILE, [{ system: 'walcast', [HOSTILE]: HOSTILE }]),
  ]
  const html = reportHtml({ results, unreadable: [HOSTILE] }, new Map([[HOSTILE, HOSTILE]]))
  const svg = summarySvg(results)
  const block = readmeBlock(results, 'picture.svg')
  for (const text of [html, svg, block])
    assert.doesNotMatch(text, /<img|<!-- bench|\0|\ud800(?![\udc00-\udfff])/)
  assert.equal(html.match(/<\/script>/g)?.length, 3)
  assert.equal(svg.match(/<svg/g)?.length, 1)
  const table = block.split('\n').filter((line) => line.startsWith('| '))
  for (const line of table) assert.equal(line.replaceAll('\\|', '').split('|').length, 7, line)
})

test('escaped markup shows the original text', () => {
  assert.equal(escapeMarkup('<a href="x">\'&\t\u0001'), '&lt;a href=&quot;x&quot;&gt;&#39;&amp;\t')
  assert.equal(escapeMarkdown('a|b\n<c> [d]'), 'a\\|b &lt;c&gt; \\[d\\]')
  assert.deepEqual(JSON.parse(embeddableJson({ a: HOSTILE })), { a: HOSTILE })
  assert.doesNotMatch(embeddableJson(HOSTILE), /[<>&]/)
})

test('only the block of figures in the README is replaced', () => {
  const before = '# A $& b\r\n\n<!-- bench:begin -->'
  const end = '<!-- bench:end -->\ntail $1\n\n'
  const block = readmeBlock([LAG, THROUGHPUT], 'bench/results/summary.svg')
  const once = replaceBlock(`${before}old\n${end}`, block)
  assert.equal(once, `${before}\n${block}\n${end}`)
  assert.equal(replaceBlock(once, block), once)
  for (const text of [
    '| **walcast** | 0.50 (0.25–1.00) | 1.25 |',
    '| third | skipped: no such program |',
    '2026-01-31',
    'abc1234',
  ])
    assert.ok(block.includes(text), text)
  for (const readme of ['', before, end, `${end}${before}`, `${once}${once}`])
    assert.throws(() => replaceBlock(readme, block), /README\.md/)
})

test('results of two commits are named as such', () => {
  const later = { ...THROUGHPUT, commit: 'def5678' }
  const block = readmeBlock([LAG, later], 'picture.svg')
  assert.match(block, /lag: .*commit abc1234/)
  assert.match(block, /throughput: .*commit def5678/)
})

test('a file that is not a result is named, and the others are read', () => {
  const { at: _, ...old } = LAG
  writeFileSync(join(folder, 'idle.json'), JSON.stringify(old))
  writeFileSync(join(folder, 'broken.json'), '{')
  writeFileSync(join(folder, 'zebra.json'), JSON.stringify(made('zebra', [])))
  writeFileSync(join(folder, 'lag.json'), JSON.stringify(LAG))
  const { results, unreadable } = readResults(folder, SUITE_NAMES)
  assert.deepEqual(
    results.map(({ suite }) => suite),
    ['lag', 'zebra'],
  )
  assert.deepEqual(unreadable, [
    'broken.json is left out: it is no JSON',
    'idle.json is left out: it has no "at" that is a string',
  ])
  const spread = { system: 'walcast', p50Ms: { median: 1, min: 1, max: 1 } }
  assert.throws(() => parseResult(JSON.stringify({ ...LAG, rows: [spread] })), /"p50Ms" of row 1/)
  assert.throws(() => parseResult(JSON.stringify({ ...LAG, at: 'yesterday' })), /"at" is no date/)
})

test('the report lies beside the results; a missing README is not created', () => {
  const told: string[] = []
  writeReport({ folder, notes: new Map(), progress: (text) => told.push(text) })
  assert.equal(told.length, 4)
  assert.ok(readdirSync(folder).includes('report.html'))
  assert.equal(readFileSync(join(folder, SVG_FILE), 'utf8'), summarySvg([LAG]))
  const missing = { folder: join(folder, 'nowhere'), notes: new Map(), progress: () => {} }
  assert.throws(() => writeReport(missing), /there is no folder/)
})

test('arguments of the bench', () => {
  assert.deepEqual(parseCommand(['report', '--out', 'x']), { kind: 'report', out: 'x' })
  const all = parseCommand(['all', '--rounds', '1'])
  assert.ok(all.kind === 'all')
  assert.deepEqual(
    all.options.map(({ suite, rounds }) => [suite, rounds]),
    SUITES_OF_ALL.map((suite) => [suite, 1]),
  )
  assert.ok(SUITES_OF_ALL.includes('fanout') && !SUITES_OF_ALL.includes('large'))
  assert.equal(parseCommand(['lag', '--help']).kind, 'help')
  for (const args of [
    [],
    ['nothing'],
    ['lag', 'all'],
    ['report', 'x'],
    ['report', '--rounds', '1'],
  ])
    assert.throws(() => parseCommand(args), UsageError, args.join(' '))
})

test('outside a checkout the package version stands for the commit', () => {
  writeFileSync(join(folder, 'package.json'), '{"version":"1.2.3"}')
  assert.equal(describeCommit(folder), 'v1.2.3')
})

test('the README figures and the picture match the kept results', () => {
  const cure = 'run: npm run bench -- report'
  const kept = join(ROOT, 'bench/results')
  const { results } = readResults(kept, SUITE_NAMES)
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const block = readmeBlock(results, `bench/results/${SVG_FILE}`)
  assert.equal(readme, replaceBlock(readme, block), cure)
  assert.equal(readFileSync(join(kept, SVG_FILE), 'utf8'), summarySvg(results), cure)
})
