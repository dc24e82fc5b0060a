/** The judge of histories finds each planted fault, and none in a correct history. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ACCOUNTS, BALANCE, type Choice, type History, historyOf, SESSIONS } from './bankModel.ts'
import { type BankState, type Exchange, isWrite, type Losses, outcomeOf } from './history.ts'
import {
  checkHistory,
  type Faults,
  failuresIn,
  faultsIn,
  type HistoryReport,
} from './historyCheck.ts'

const choice: fc.Arbitrary<Choice> = fc.record({
  session: fc.nat(SESSIONS - 1),
  kind: fc.constantFrom('transfer', 'set', 'get', 'accounts'),
  pick: fc.nat(9),
  leadMs: fc.nat(35),
  trailMs: fc.nat(35),
  outcome: fc.constantFrom('done', 'done', 'done', 'done', 'refused', 'lostRequest', 'lostAnswer'),
})
const history = fc.array(choice, { minLength: 20, maxLength: 80 }).map(historyOf)

function judge({ record, final }: History, losses: Losses = 'none'): HistoryReport {
  return checkHistory(record, final, { accounts: ACCOUNTS, balance: BALANCE, losses })
}

/** A mutable copy of what a history ends with. */
function copyOf(final: BankState) {
  return {
    balances: new Map(final.balances),
    transfers: [...final.transfers],
    registers: new Map(final.registers),
  }
}

const isDone = (kind: Exchange['kind']) => (each: Exchange) =>
  each.kind === kind && outcomeOf(each) === 'done'

/** One of several by a number, which shrinks towards the first. */
function one<T>(values: readonly T[], pick: number): T {
  fc.pre(values.length > 0)
  return values[pick % values.length]
}

function replaced(
  record: readonly Exchange[],
  old: Exchange,
  change: Partial<Exchange>,
): Exchange[] {
  return record.map((each) => (each === old ? { ...each, ...change } : each))
}

/** Every history with this fault planted must be found guilty of it. */
function finds(
  list: keyof Faults,
  what: string,
  plant: (history: History, pick: number) => History,
): void {
  test(`found: ${what}`, () => {
    fc.assert(
      fc.property(history, fc.nat(1000), (right, pick) => {
        const report = judge(plant(right, pick))
        assert.ok(
          report[list].length > 0,
          `not in ${list}; found: ${faultsIn(report).join('\n') || 'nothing'}`,
        )
      }),
    )
  })
}

test('a correct history has no fault, whatever losses are allowed', () => {
  fc.assert(
    fc.property(
      history,
      fc.constantFrom<Losses>('none', 'unreplicated', 'any'),
      (right, losses) => {
        assert.deepEqual(faultsIn(judge(right, losses)), [])
      },
    ),
  )
})

test('failures are counted by kind, status and code; only writes are unknown', () => {
  fc.assert(
    fc.property(history, (right) => {
      const report = judge(right)
      const failed = [...report.failed.values()].reduce((sum, { count }) => sum + count, 0)
      assert.equal(failed + report.done, right.record.length)
      const unknown = right.record.filter((each) => isWrite(each) && each.status === 502)
      assert.equal(report.unknown, unknown.length)
      assert.equal(failuresIn(report).length, report.failed.size)
    }),
  )
})

finds('lost', 'an acknowledged transfer that is gone', ({ record, final }, pick) => {
  const { key } = one(record.filter(isDone('transfer')), pick)
  return { record, final: { ...final, transfers: final.transfers.filter(({ id }) => id !== key) } }
})

finds('lost', 'an acknowledged write of a register that is gone', ({ record, final }, pick) => {
  const { key } = one(record.filter(isDone('set')), pick)
  const done = record.filter((each) => isDone('set')(each) && each.key === key)
  const newest = Math.max(...done.map(({ version = 0 }) => version))
  const { registers, ...rest } = copyOf(final)
  registers.set(key, { version: newest - 1, value: done[0].value ?? '' })
  return { record, final: { ...rest, registers } }
})

finds('duplicates', 'a transfer that is there twice', ({ record, final }, pick) => {
  return {
    record,
    final: { ...final, transfers: [...final.transfers, one(final.transfers, pick)] },
  }
})

finds(
  'duplicates',
  'a transfer that was applied twice and noted once',
  ({ record, final }, pick) => {
    const { from, to, amount } = one(final.transfers, pick)
    const { balances, ...rest } = copyOf(final)
    balances.set(from, (balances.get(from) ?? 0) - amount)
    balances.set(to, (balances.get(to) ?? 0) + amount)
    return { record, final: { ...rest, balances } }
  },
)

finds('duplicates', 'a write of a register that was executed again', ({ record, final }, pick) => {
  const { key } = one(record.filter(isDone('set')), pick)
  const possible = record.filter(
    (each) => each.kind === 'set' && each.key === key && outcomeOf(each) !== 'refused',
  )
  const { registers, ...rest } = copyOf(final)
  registers.set(key, { version: possible.length + 1, value: possible[0].value ?? '' })
  return { record, final: { ...rest, registers } }
})

finds('refusedButThere', 'a transfer that was refused and is there', ({ record, final }, pick) => {
  const executed = new Set(final.transfers.map(({ id }) => id))
  const there = record.filter(({ kind, key }) => kind === 'transfer' && executed.has(key))
  return { record: replaced(record, one(there, pick), { status: pick % 2 ? 503 : 409 }), final }
})

/** Pairs of one session and register, the second of which came after the first. */
function pairs(record: readonly Exchange[], first: Exchange['kind'], second: Exchange['kind']) {
  return record.flatMap((a, i) =>
    isDone(first)(a) && (a.version ?? 0) > 0
      ? record
          .slice(i + 1)
          .filter((b) => isDone(second)(b) && a.session === b.session && a.key === b.key)
          .map((b) => [a, b] as const)
      : [],
  )
}

finds('wentBack', 'a read older than the one before', ({ record, final }, pick) => {
  const [before, read] = one(pairs(record, 'get', 'get'), pick)
  // A write between the two would make it one of its own that was missed.
  const between = record.slice(record.indexOf(before), record.indexOf(read))
  fc.pre(!between.some((each) => isDone('set')(each) && each.session === read.session))
  const version = (before.version ?? 0) - 1
  const sets = record.filter(
    (each) => isDone('set')(each) && each.session === read.session && (each.version ?? 0) > version,
  )
  fc.pre(!sets.some((each) => each.key === read.key && each.endMs < read.startMs))
  return { record: replaced(record, read, { version }), final }
})

finds('wentBack', 'a write that gave no newer version than the session had seen', (right, pick) => {
  const { record, final } = right
  const [before, write] = one(pairs(record, 'get', 'set'), pick)
  return { record: replaced(record, write, { version: before.version ?? 0 }), final }
})

finds(
  'ownWritesMissed',
  'a read that does not see what its session wrote',
  ({ record, final }, pick) => {
    const [write, read] = one(pairs(record, 'set', 'get'), pick)
    const versions = record
      .slice(0, record.indexOf(read))
      .filter(
        (each) => each.session === read.session && each.key === read.key && isDone(each.kind)(each),
      )
    const newest = versions.reduce((a, b) => ((b.version ?? 0) > (a.version ?? 0) ? b : a), write)
    fc.pre(newest.kind === 'set')
    return { record: replaced(record, read, { version: (newest.version ?? 0) - 1 }), final }
  },
)

finds(
  'disordered',
  'a write with an older version than one before it',
  ({ record, final }, pick) => {
    const writes = record.filter(isDone('set'))
    const after = writes.flatMap((a) =>
      writes.filter((b) => a.key === b.key && a.endMs < b.startMs).map((b) => [a, b] as const),
    )
    const [before, write] = one(after, pick)
    return {
      record: replaced(record, write, { version: (before.version ?? 0) - (pick % 2) }),
      final,
    }
  },
)

finds('conflicts', 'one version with two values', ({ record, final }, pick) => {
  const seen = record.filter((each) => each.version !== undefined && outcomeOf(each) === 'done')
  const shared = seen.filter((a) =>
    seen.some((b) => a !== b && a.key === b.key && a.version === b.version),
  )
  return { record: replaced(record, one(shared, pick), { value: 'other' }), final }
})

finds('sums', 'balances read in the midst of a transfer', ({ record, final }, pick) => {
  const read = one(record.filter(isDone('accounts')), pick)
  return { record: replaced(record, read, { sum: (read.sum ?? 0) + 1 + pick }), final }
})

finds('sums', 'money gone in the end', ({ record, final }, pick) => {
  const { balances, ...rest } = copyOf(final)
  const account = 1 + (pick % ACCOUNTS)
  balances.set(account, (balances.get(account) ?? 0) - 1)
  return { record, final: { ...rest, balances } }
})

finds(
  'strangers',
  'a transfer that nobody asked for, or asked for otherwise',
  ({ record, final }, pick) => {
    const known = one(final.transfers, pick)
    const other = pick % 2 ? { ...known, id: 'nobody' } : { ...known, amount: known.amount + 1 }
    return {
      record,
      final: { ...final, transfers: [...final.transfers.filter((t) => t !== known), other] },
    }
  },
)

test('with losses allowed, only unreplicated writes may be gone', () => {
  const times = { session: 0, site: 'a', startMs: 1, endMs: 2 }
  const transfer = { id: 't1', from: 1, to: 2, amount: 5 }
  const done: Exchange = {
    ...times,
    kind: 'transfer',
    key: 't1',
    transfer,
    status: 201,
    position: '1-2',
  }
  const { final } = historyOf([])
  const verdict = (exchange: Exchange, losses: Losses) =>
    judge({ record: [exchange], final }, losses).lost.length
  assert.equal(verdict(done, 'none'), 1)
  assert.equal(verdict(done, 'unreplicated'), 0)
  assert.equal(verdict({ ...done, notReplicated: 'one; replicas=0' }, 'unreplicated'), 0)
  assert.equal(verdict({ ...done, acked: 'one; replicas=1' }, 'unreplicated'), 1)
  assert.equal(verdict(done, 'any'), 0)
})

test('with losses allowed, reads may go back only where the epoch changed', () => {
  const read = (startMs: number, version: number, position: string): Exchange => {
    const value = `v${version}`
    const times = { startMs, endMs: startMs + 1 }
    return {
      session: 0,
      site: 'a',
      kind: 'get',
      key: 'r',
      value,
      status: 200,
      version,
      position,
      ...times,
    }
  }
  const { final } = historyOf([])
  const wentBack = (second: Exchange, losses: Losses) =>
    judge({ record: [read(1, 5, '1-9'), second], final }, losses).wentBack.length
  assert.equal(wentBack(read(3, 4, '2-9'), 'unreplicated'), 0)
  assert.equal(wentBack(read(3, 4, '2-9'), 'none'), 1)
  assert.equal(wentBack(read(3, 4, '1-9'), 'unreplicated'), 1)
  assert.equal(wentBack({ ...read(3, 4, '1-9'), stale: '1-9' }, 'none'), 0)
  const written: Exchange = { ...read(1, 5, '1-9'), kind: 'set', acked: 'one; replicas=1' }
  const after = judge({ record: [written, read(3, 4, '2-9')], final }, 'unreplicated')
  assert.equal(after.ownWritesMissed.length, 1, 'a replicated write is missed in every epoch')
})

test('the report counts acknowledged writes, without which a judgement is worthless', () => {
  const { record, final } = historyOf([
    { session: 0, kind: 'transfer', pick: 1, leadMs: 1, trailMs: 1, outcome: 'done' },
    { session: 0, kind: 'set', pick: 1, leadMs: 1, trailMs: 1, outcome: 'lostAnswer' },
  ])
  assert.equal(judge({ record, final }, 'none').lasting, 1)
  assert.equal(judge({ record, final }, 'unreplicated').lasting, 1)
  assert.equal(judge({ record, final }, 'any').lasting, 0)
})
