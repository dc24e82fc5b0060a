/**
 * Judges what clients were told against what the database holds in the end. Pure: no clock, no
 * file, no process.
 */
import { grouped } from './grouped.ts'
import {
  type BankState,
  describe,
  type Exchange,
  epochOf,
  isLasting,
  isWrite,
  type Losses,
  outcomeOf,
  type Transfer,
} from './history.ts'
import { checkSessions, type Seen } from './sessionCheck.ts'

export interface Expectation {
  readonly accounts: number
  /** With which each account began. */
  readonly balance: number
  /**
   * none: everything that was answered as done is there. unreplicated: a leader died, and what only
   * it held may be gone; what was answered with `Walcast-Acked` is there, and everything else is
   * compared within one epoch only. any: the same where no request asked for `Walcast-Ack`, so that
   * nothing is known to be elsewhere.
   */
  readonly losses: Losses
}

/** Each list must be empty. */
export interface Faults {
  /** Answered as done, but missing. */
  readonly lost: readonly string[]
  /** Present or applied more than once. */
  readonly duplicates: readonly string[]
  /** Answered as not executed, but present. */
  readonly refusedButThere: readonly string[]
  /** A session saw an older version after a newer one. */
  readonly wentBack: readonly string[]
  /** A session did not see what it wrote. */
  readonly ownWritesMissed: readonly string[]
  /** Versions that do not follow the order in which writes followed each other. */
  readonly disordered: readonly string[]
  /** One version with two values: two nodes led. */
  readonly conflicts: readonly string[]
  /** Balances whose sum changed. */
  readonly sums: readonly string[]
  /** Present, but never asked for like this. */
  readonly strangers: readonly string[]
}

export interface HistoryReport extends Faults {
  readonly done: number
  /** Writes that had to be present: `losses` cannot excuse them. */
  readonly lasting: number
  /** Requests that were not answered with success, by kind, status and code. */
  readonly failed: ReadonlyMap<
    string,
    { readonly count: number; readonly examples: readonly string[] }
  >
  /** Writes whose outcome their clients cannot know. */
  readonly unknown: number
  /** Answers that reported something missing. */
  readonly toldStale: number
}

const MAX_EXAMPLES = 3

export function checkHistory(
  record: readonly Exchange[],
  final: BankState,
  expectation: Expectation,
): HistoryReport {
  const transfers = checkTransfers(record, final, expectation)
  const registers = checkRegisters(record, final, expectation)
  return {
    lost: [...transfers.lost, ...registers.lost],
    duplicates: [
      ...transfers.duplicates,
      ...registers.duplicates,
      ...checkBalances(final, expectation, transfers.known),
    ],
    refusedButThere: transfers.refusedButThere,
    strangers: [...transfers.strangers, ...registers.strangers],
    ...checkVersions(record, expectation),
    ...checkSessions(record, expectation.losses),
    sums: checkSums(record, final, expectation),
    done: record.filter((each) => outcomeOf(each) === 'done').length,
    lasting: record.filter((each) => isWrite(each) && isLasting(each, expectation.losses)).length,
    failed: failuresOf(record),
    unknown: record.filter((each) => isWrite(each) && outcomeOf(each) === 'unknown').length,
    toldStale: record.filter(({ stale }) => stale !== undefined).length,
  }
}

/** One line for each fault, with the name of its list. */
export function faultsIn(report: HistoryReport): string[] {
  const lists: (keyof Faults)[] = [
    'lost',
    'duplicates',
    'refusedButThere',
    'wentBack',
    'ownWritesMissed',
    'disordered',
    'conflicts',
    'sums',
    'strangers',
  ]
  return lists.flatMap((list) => report[list].map((fault) => `${list}: ${fault}`))
}

/** Failed requests, as `503 LEADER_AWAY transfer: 12 (an example)`. */
export function failuresIn({ failed }: HistoryReport): string[] {
  return [...failed].map(
    ([name, { count, examples }]) => `${name}: ${count} (${examples.join('; ')})`,
  )
}

function checkTransfers(record: readonly Exchange[], final: BankState, expectation: Expectation) {
  const [lost, duplicates, refusedButThere, strangers]: string[][] = [[], [], [], []]
  const asked = new Map(
    record.flatMap(({ key, transfer }) => (transfer ? [[key, transfer] as const] : [])),
  )
  const there = new Map<string, number>()
  for (const transfer of final.transfers) {
    there.set(transfer.id, (there.get(transfer.id) ?? 0) + 1)
    const wanted = asked.get(transfer.id)
    if (!wanted || !isEqual(wanted, transfer))
      strangers.push(`transfer ${JSON.stringify(transfer)}`)
  }
  for (const [id, count] of there)
    if (count > 1) duplicates.push(`transfer ${id} is there ${count} times`)
  for (const exchange of record) {
    if (exchange.kind !== 'transfer') continue
    const isThere = there.has(exchange.key)
    if (!isThere && isLasting(exchange, expectation.losses)) lost.push(describe(exchange))
    if (isThere && outcomeOf(exchange) === 'refused') refusedButThere.push(describe(exchange))
  }
  return { lost, duplicates, refusedButThere, strangers, known: final.transfers }
}

function isEqual(a: Transfer, b: Transfer): boolean {
  return a.from === b.from && a.to === b.to && a.amount === b.amount
}

/** Each account must hold what its transfers say: one applied twice, or half, shows here. */
function checkBalances(
  { balances }: BankState,
  { accounts, balance }: Expectation,
  transfers: readonly Transfer[],
): string[] {
  const wanted = new Map(Array.from({ length: accounts }, (_, i) => [i + 1, balance]))
  const add = (account: number, amount: number) =>
    wanted.set(account, (wanted.get(account) ?? 0) + amount)
  for (const { from, to, amount } of transfers) {
    add(from, -amount)
    add(to, amount)
  }
  return [...wanted].flatMap(([account, amount]) =>
    balances.get(account) === amount
      ? []
      : [`account ${account} holds ${balances.get(account)}, its transfers make it ${amount}`],
  )
}

/**
 * Each write adds one to its key's version, so that the version counts the writes that were
 * executed.
 */
function checkRegisters(record: readonly Exchange[], final: BankState, expectation: Expectation) {
  const [lost, duplicates, strangers]: string[][] = [[], [], []]
  const writes = grouped(
    record.filter(({ kind }) => kind === 'set'),
    ({ key }) => key,
  )
  for (const [key, of] of writes) {
    const { version = 0, value } = final.registers.get(key) ?? {}
    const certain = of.filter((each) => isLasting(each, expectation.losses))
    const possible = of.filter((each) => outcomeOf(each) !== 'refused')
    const newest = Math.max(0, ...certain.map((each) => each.version ?? 0))
    const least = expectation.losses === 'none' ? Math.max(newest, certain.length) : certain.length
    if (version < least)
      lost.push(`register ${key} is at version ${version}, ${least} was answered`)
    if (version > possible.length)
      duplicates.push(
        `register ${key} is at version ${version} after ${possible.length} writes at most`,
      )
    if (value !== undefined && !possible.some((each) => each.value === value))
      strangers.push(`register ${key} holds ${value}`)
  }
  for (const key of final.registers.keys()) if (!writes.has(key)) strangers.push(`register ${key}`)
  return { lost, duplicates, strangers }
}

/** The answered versions of registers, in groups within which they can be compared. */
function groupsOf(record: readonly Exchange[], { losses }: Expectation): Seen[][] {
  const seen = record.filter(
    (each): each is Seen => each.version !== undefined && outcomeOf(each) === 'done',
  )
  if (losses === 'none') return [...grouped(seen, ({ key }) => key).values()]
  const lasting = seen.filter((each) => each.kind === 'set' && isLasting(each, losses))
  return [
    ...grouped(seen, (each) => `${each.key} ${epochOf(each)}`).values(),
    ...grouped(lasting, ({ key }) => key).values(),
  ]
}

function checkVersions(record: readonly Exchange[], expectation: Expectation) {
  const groups = groupsOf(record, expectation)
  return {
    disordered: [...new Set(groups.flatMap(disorderIn))],
    conflicts: [...new Set(groups.flatMap(conflictsIn))],
  }
}

/** A write that began after another had been answered has a higher version. */
function disorderIn(group: readonly Seen[]): string[] {
  const writes = group.filter(({ kind }) => kind === 'set')
  const byStart = [...writes].sort((a, b) => a.startMs - b.startMs)
  const byEnd = [...writes].sort((a, b) => a.endMs - b.endMs)
  const faults: string[] = []
  let ended = 0
  let newest: Seen | undefined
  for (const write of byStart) {
    for (; ended < byEnd.length && byEnd[ended].endMs < write.startMs; ended++)
      if (!newest || byEnd[ended].version > newest.version) newest = byEnd[ended]
    if (newest && write.version <= newest.version)
      faults.push(`${describe(write)} began after ${describe(newest)}`)
  }
  return faults
}

/**
 * Whoever wrote or read a version had the same value. Version 0 is that of a register never
 * written.
 */
function conflictsIn(group: readonly Seen[]): string[] {
  const first = new Map<number, Seen>()
  const faults: string[] = []
  for (const each of group) {
    const other = first.get(each.version)
    if (!other) first.set(each.version, each)
    else if (other.value !== each.value)
      faults.push(`${describe(each)} with ${each.value}, ${describe(other)} with ${other.value}`)
  }
  return faults
}

function checkSums(
  record: readonly Exchange[],
  final: BankState,
  { accounts, balance }: Expectation,
): string[] {
  const total = accounts * balance
  const atEnd = [...final.balances.values()].reduce((sum, each) => sum + each, 0)
  const wrong = record.filter(
    (each) => each.kind === 'accounts' && outcomeOf(each) === 'done' && each.sum !== total,
  )
  const told = wrong.map((each) => `${describe(each)}: ${each.sum} instead of ${total}`)
  return atEnd === total ? told : [...told, `${atEnd} at the end instead of ${total}`]
}

function failuresOf(record: readonly Exchange[]): HistoryReport['failed'] {
  const failed = record.filter((each) => outcomeOf(each) !== 'done')
  const groups = grouped(failed, ({ status, code = '', kind }) => `${status} ${code} ${kind}`)
  return new Map(
    [...groups].map(([name, of]) => [
      name,
      { count: of.length, examples: of.slice(0, MAX_EXAMPLES).map(describe) },
    ]),
  )
}
