/** The options of all suites: one table, from which parsing and help derive. */
import { parseArgs } from 'node:util'
import { optionLine } from '../src/cli/optionLine.ts'
import {
  aboveZero,
  count,
  notNegative,
  oneOf,
  type PinSetup,
  parsePin,
  parseRate,
  UsageError,
} from './optionValues.ts'

export type { PinSetup } from './optionValues.ts'
export { UsageError } from './optionValues.ts'

export const SUITE_NAMES = [
  'lag',
  'throughput',
  'catchup',
  'apply',
  'idle',
  'floor',
  'readers',
  'network',
  'http',
  'fanout',
  'large',
  'switchover',
  'failover',
  'guest',
  'restore',
  'console',
] as const
export type SuiteName = (typeof SUITE_NAMES)[number]

/** Suites that `all` leaves out: they need tens of gigabytes of disk and much time. */
const NOT_IN_ALL: readonly SuiteName[] = ['large']
export const SUITES_OF_ALL = SUITE_NAMES.filter((name) => !NOT_IN_ALL.includes(name))

/** What the suite large measures, in this order. */
export const LARGE_PARTS = [
  'start',
  'copy',
  'restart',
  'difference',
  'transaction',
  'stopped',
] as const
export type LargePart = (typeof LARGE_PARTS)[number]

/** What the suite restore measures, in this order. */
export const RESTORE_PARTS = ['writer', 'lag', 'behind', 'restore', 'at', 'storage'] as const
export type RestorePart = (typeof RESTORE_PARTS)[number]

/**
 * Other readers of a replica while lag is measured: none, or one that never pauses.
 */
export const READERS = ['idle', 'loaded'] as const
export type Readers = (typeof READERS)[number]

interface OptionSpec {
  /** The suites that it is for. */
  readonly suites: readonly SuiteName[]
  readonly help: string
  /** The default, for all suites or by suite. */
  readonly standard: string | (Partial<Record<SuiteName, string>> & { readonly other: string })
}

const OPTIONS = {
  peers: {
    suites: ['lag', 'throughput', 'restore'],
    help: 'other systems to measure in the same run, comma-separated, or all',
    standard: '',
  },
  'peer-rates': {
    suites: ['lag'],
    help: 'the rates at which peers are measured too; by default all of a given --rates',
    standard: '200',
  },
  rates: {
    suites: ['lag', 'throughput', 'readers', 'network', 'http', 'fanout', 'switchover', 'guest'],
    help: "commits a second, comma-separated; 'full' for as many as possible",
    standard: {
      guest: '200,1000,2000,full',
      throughput: 'full,5000',
      readers: '200,1000,5000',
      network: '200',
      http: '200',
      fanout: '20',
      switchover: '200',
      other: '10,200,1000,5000',
    },
  },
  pages: {
    suites: ['lag', 'network'],
    help: 'pages changed by a commit, comma-separated',
    standard: { lag: '1,100', network: '1,100', other: '1' },
  },
  replicas: {
    suites: ['lag', 'throughput', 'idle', 'fanout', 'guest', 'console'],
    help: 'replicas running, comma-separated',
    standard: { lag: '1,2', fanout: '1,10,100', console: '1,60', other: '1' },
  },
  'per-process': { suites: ['fanout'], help: 'replicas per process', standard: '10' },
  relays: {
    suites: ['fanout'],
    help:
      'two levels: replicas that feed the others, at most half of the largest number in ' +
      '--replicas',
    standard: '10',
  },
  readers: {
    suites: ['lag'],
    help: 'other readers of the replica, comma-separated: idle, loaded',
    standard: { lag: 'idle,loaded', other: 'idle' },
  },
  connections: {
    suites: ['http'],
    help: 'concurrent connections for reads, comma-separated',
    standard: '1,16',
  },
  seconds: {
    suites: [
      ...['lag', 'throughput', 'idle', 'floor', 'readers', 'network', 'http', 'fanout'],
      ...['guest', 'restore'],
    ] as SuiteName[],
    help: 'length of one measurement',
    standard: {
      lag: '5',
      throughput: '5',
      restore: '5',
      floor: '3',
      readers: '3',
      network: '6',
      http: '3',
      other: '10',
    },
  },
  warmup: {
    suites: ['lag', 'throughput', 'idle', 'readers', 'network', 'http', 'fanout', 'restore'],
    help: 'seconds before a measurement, which do not count',
    standard: { idle: '25', lag: '2', http: '2', restore: '2', fanout: '5', other: '3' },
  },
  'warmup-rate': {
    suites: ['lag', 'throughput', 'readers', 'network', 'restore'],
    help: 'commits a second during the warm-up',
    standard: '1000',
  },
  rounds: {
    suites: SUITE_NAMES,
    help: 'rounds: how often everything is measured',
    standard: { idle: '1', large: '1', switchover: '1', failover: '30', console: '5', other: '3' },
  },
  pin: {
    suites: [
      'lag',
      'throughput',
      'catchup',
      'apply',
      'floor',
      'readers',
      'network',
      'http',
      'fanout',
      'large',
      'switchover',
      'restore',
    ],
    help:
      "CPUs by process, such as 'writer=0,leader=0,replica=1,reader=1'; " +
      "several set-ups separated by '/'",
    standard: 'none',
  },
  autocheckpoint: {
    suites: ['throughput', 'apply'],
    help: "the writer's wal_autocheckpoint, comma-separated",
    standard: { throughput: '1000,0', other: '1000' },
  },
  mb: {
    suites: ['catchup', 'apply', 'idle', 'restore'],
    help: 'size of the database in MB',
    standard: { catchup: '1024', apply: '64', restore: '100', other: '10' },
  },
  transactions: {
    suites: ['apply', 'restore'],
    help: 'large transactions; for restore: small ones after the snapshot',
    standard: { restore: '10000', other: '20' },
  },
  hours: {
    suites: ['restore'],
    help: 'hours of 20 commits a second whose archive is weighed; run faster than that',
    standard: '0.5',
  },
  'transaction-mb': { suites: ['apply'], help: 'size of one transaction in MB', standard: '20' },
  'catch-up-mb': {
    suites: ['catchup', 'apply'],
    help: "MB that a stopped replica has to catch up with, less than the leader's history",
    standard: '24',
  },
  gb: { suites: ['large'], help: 'size of the database in GB', standard: '10' },
  'transaction-gb': {
    suites: ['large'],
    help: 'size in GB of the database that one transaction changes completely',
    standard: '1',
  },
  'stop-seconds': {
    suites: ['large'],
    help: 'seconds for which one of two replicas stands still',
    standard: '60',
  },
  parts: {
    suites: ['large', 'restore'],
    help: 'parts to measure, comma-separated',
    standard: { restore: RESTORE_PARTS.join(','), other: LARGE_PARTS.join(',') },
  },
  switchovers: {
    suites: ['switchover'],
    help: 'number of switchovers, back and forth',
    standard: '50',
  },
  failovers: {
    suites: ['switchover'],
    help: 'leaders to kill, each with fresh nodes',
    standard: '5',
  },
  'node-args': {
    suites: SUITE_NAMES,
    help: "further arguments for the nodes' node executable, separated by spaces",
    standard: '',
  },
  profile: { suites: SUITE_NAMES, help: 'folder for CPU profiles of the nodes', standard: '' },
  out: { suites: SUITE_NAMES, help: 'folder for results and report', standard: '' },
} as const satisfies Record<string, OptionSpec>

type OptionName = keyof typeof OPTIONS
type Values = Partial<Record<OptionName, string>> & {
  readonly json?: boolean
  readonly help?: boolean
}

export interface BenchOptions {
  readonly suite: SuiteName
  readonly json: boolean
  readonly peers: readonly string[]
  readonly peerRatesPerSecond: readonly number[]
  /** Infinity: as many as possible. */
  readonly ratesPerSecond: readonly number[]
  readonly pagesPerCommit: readonly number[]
  readonly replicas: readonly number[]
  readonly readers: readonly Readers[]
  readonly connections: readonly number[]
  readonly seconds: number
  readonly warmupSeconds: number
  readonly warmupPerSecond: number
  readonly rounds: number
  readonly replicasPerProcess: number
  readonly relays: number
  readonly pins: readonly PinSetup[]
  readonly autocheckpoints: readonly number[]
  readonly databaseMb: number
  readonly transactions: number
  readonly transactionMb: number
  readonly catchUpMb: number
  readonly databaseGb: number
  readonly transactionGb: number
  readonly stopSeconds: number
  readonly parts: readonly LargePart[]
  readonly restoreParts: readonly RestorePart[]
  /** Simulated hours. */
  readonly hours: number
  readonly switchovers: number
  readonly failovers: number
  readonly nodeArgs: readonly string[]
  /** Empty: the standard folder, see checkout.ts. */
  readonly out: string
}

/** The command: one suite, all suites, or the report of their results. */
export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'suite'; readonly options: BenchOptions }
  | { readonly kind: 'all'; readonly options: readonly BenchOptions[]; readonly out: string }
  | { readonly kind: 'report'; readonly out: string }

/** Throws UsageError. */
export function parseCommand(argv: readonly string[]): Command {
  const { values, positionals } = parse(argv)
  const out = values.out ?? ''
  if (values.help) return { kind: 'help' }
  if (positionals.join(' ') === 'all')
    return { kind: 'all', options: SUITES_OF_ALL.map((suite) => optionsOf(suite, values)), out }
  if (positionals.join(' ') === 'report') {
    const other = Object.keys(values).find((name) => name !== 'out')
    if (other) throw new UsageError(`--${other}: report takes --out only`)
    return { kind: 'report', out }
  }
  return { kind: 'suite', options: suiteOptions(values, positionals) }
}

/** Options of a run of one suite. Throws UsageError. */
export function parseOptions(argv: readonly string[]): BenchOptions | 'help' {
  const { values, positionals } = parse(argv)
  return values.help ? 'help' : suiteOptions(values, positionals)
}

function suiteOptions(values: Values, positionals: readonly string[]): BenchOptions {
  const suite = SUITE_NAMES.find((name) => name === positionals[0])
  if (!suite || positionals.length > 1)
    throw new UsageError(`give one suite: ${SUITE_NAMES.join(', ')}; or all, or report`)
  const stray = Object.keys(OPTIONS).find(
    (name) => values[name as OptionName] !== undefined && !isFor(name as OptionName, suite),
  )
  if (stray) throw new UsageError(`--${stray}: ${suite} has no use for it`)
  return optionsOf(suite, values)
}

function optionsOf(suite: SuiteName, values: Values): BenchOptions {
  const given = (name: OptionName) => (isFor(name, suite) ? values[name] : undefined)
  const text = (name: OptionName) => String(given(name) ?? standardOf(name, suite))
  // A run that names its rates measures only these, unless it names further values of the other
  // lists too.
  const varied = (name: OptionName) =>
    given('rates') && !given(name) && suite !== 'fanout' ? [list(name)[0]] : list(name)
  const list = (name: OptionName) => text(name).split(',').filter(Boolean)
  const some = <Value>(name: OptionName, parse: (part: string) => Value, parts = list(name)) => {
    const values = parts.map(parse)
    if (values.length === 0) throw new UsageError(`--${name}: give at least one`)
    return values
  }
  const number = (name: OptionName) => notNegative(name, text(name))
  const profile = text('profile')
  return {
    suite,
    json: values.json === true,
    peers: list('peers'),
    peerRatesPerSecond: some(
      given('rates') && !given('peer-rates') ? 'rates' : 'peer-rates',
      (part) => parseRate(suite, part),
    ),
    ratesPerSecond: some('rates', (part) => parseRate(suite, part)),
    pagesPerCommit: some('pages', (part) => count('pages', part), varied('pages')),
    replicas: some('replicas', (part) => count('replicas', part), varied('replicas')),
    readers: some('readers', (part) => oneOf('readers', READERS, part), varied('readers')),
    connections: some('connections', (part) => count('connections', part)),
    seconds: aboveZero('seconds', text('seconds')),
    warmupSeconds: number('warmup'),
    warmupPerSecond: number('warmup-rate'),
    rounds: count('rounds', text('rounds')),
    replicasPerProcess: count('per-process', text('per-process')),
    relays: count('relays', text('relays')),
    pins: text('pin').split('/').map(parsePin),
    autocheckpoints: some('autocheckpoint', (part) => notNegative('autocheckpoint', part)),
    databaseMb: number('mb'),
    transactions: count('transactions', text('transactions')),
    transactionMb: aboveZero('transaction-mb', text('transaction-mb')),
    catchUpMb: aboveZero('catch-up-mb', text('catch-up-mb')),
    databaseGb: aboveZero('gb', text('gb')),
    transactionGb: aboveZero('transaction-gb', text('transaction-gb')),
    stopSeconds: aboveZero('stop-seconds', text('stop-seconds')),
    parts: suite === 'restore' ? [] : some('parts', (part) => oneOf('parts', LARGE_PARTS, part)),
    restoreParts:
      suite === 'restore' ? some('parts', (part) => oneOf('parts', RESTORE_PARTS, part)) : [],
    hours: aboveZero('hours', text('hours')),
    switchovers: count('switchovers', text('switchovers')),
    failovers: count('failovers', text('failovers')),
    nodeArgs: [
      ...(profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : []),
      ...text('node-args').split(' ').filter(Boolean),
    ],
    out: text('out'),
  }
}

export function helpText(): string {
  const lines = Object.keys(OPTIONS).map((name) => {
    const { suites, help, standard }: OptionSpec = OPTIONS[name as OptionName]
    const scope = suites.length < SUITE_NAMES.length ? ` (${suites.join(', ')})` : ''
    const value =
      typeof standard === 'string'
        ? standard
        : Object.entries(standard)
            .map((each) => each.join(' '))
            .join(', ')
    return optionLine(`--${name}`, `${help}${scope}${value ? ` [${value}]` : ''}`)
  })
  return [
    'npm run bench -- SUITE|all|report [options]   in a checkout',
    'walcast bench SUITE|all|report [options]      where walcast is installed',
    '',
    optionLine('SUITE', `${SUITE_NAMES.join(', ')}: see bench/README.md`),
    optionLine(
      'all',
      `run every suite except ${NOT_IN_ALL.join(', ')}, in a checkout with all peers, then ` +
        'report; options hold for every suite',
    ),
    optionLine(
      'report',
      'make report.html and summary.svg from the results, in a checkout also the figures of ' +
        'README.md',
    ),
    '',
    ...lines,
    optionLine('--json', 'print one JSON object instead of a table'),
    '',
  ].join('\n')
}

function parse(argv: readonly string[]) {
  const strings = Object.keys(OPTIONS).map((name) => [name, { type: 'string' as const }])
  const flags = {
    json: { type: 'boolean' as const },
    help: { type: 'boolean' as const, short: 'h' },
  }
  try {
    const options = { ...Object.fromEntries(strings), ...flags }
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true })
    return { values: values as Values, positionals }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function isFor(name: OptionName, suite: SuiteName): boolean {
  const { suites }: OptionSpec = OPTIONS[name]
  return suites.includes(suite)
}

function standardOf(name: OptionName, suite: SuiteName): string {
  const { standard }: OptionSpec = OPTIONS[name]
  return typeof standard === 'string' ? standard : (standard[suite] ?? standard.other)
}
