/** A bank without processes: one correct history of concurrent clients, made from choices. */
import type { BankState, Exchange, Transfer } from './history.ts'

export const ACCOUNTS = 4
export const BALANCE = 100
export const SESSIONS = 3

export interface Choice {
  readonly session: number
  readonly kind: 'transfer' | 'set' | 'get' | 'accounts'
  /** Register or account. */
  readonly pick: number
  /**
   * How long before its execution the client sends, and how long after it the client gets the
   * answer.
   */
  readonly leadMs: number
  readonly trailMs: number
  readonly outcome: 'done' | 'refused' | 'lostRequest' | 'lostAnswer'
}

export interface History {
  readonly record: readonly Exchange[]
  readonly final: BankState
}

/** Between two executions. */
const STEP_MS = 10

interface Model {
  readonly balances: Map<number, number>
  readonly transfers: Transfer[]
  readonly registers: Map<string, { version: number; value: string }>
}

/** Executes the choices one after the other; requests of different sessions overlap. */
export function historyOf(choices: readonly Choice[]): History {
  const model: Model = {
    balances: new Map(Array.from({ length: ACCOUNTS }, (_, i) => [i + 1, BALANCE])),
    transfers: [],
    registers: new Map(),
  }
  const endMs = new Map<number, number>()
  const record = choices.map((choice, i) => {
    const atMs = (i + 1) * STEP_MS
    const next = choices.findIndex(({ session }, j) => j > i && session === choice.session)
    const latestMs = next === -1 ? Number.POSITIVE_INFINITY : (next + 1) * STEP_MS - 1
    const times = {
      startMs: Math.max(atMs - choice.leadMs, (endMs.get(choice.session) ?? 0) + 0.5),
      endMs: Math.min(atMs + choice.trailMs, latestMs),
    }
    endMs.set(choice.session, times.endMs)
    return { ...execute(model, choice, i), ...times }
  })
  return { record: record.sort((a, b) => a.endMs - b.endMs), final: model }
}

function execute(model: Model, choice: Choice, i: number): Omit<Exchange, 'startMs' | 'endMs'> {
  const { session, kind, pick, outcome } = choice
  const isWrite = kind === 'transfer' || kind === 'set'
  const isExecuted = outcome === 'done' || outcome === 'lostAnswer'
  const key = kind === 'transfer' ? `t${i}` : kind === 'accounts' ? '' : `r${pick % 2}`
  const base = { session, site: 'model', kind, key, position: `1-${i}`, acked: 'one; replicas=1' }
  const status = { done: 200, refused: 503, lostRequest: 502, lostAnswer: 502 }[outcome]
  if (kind === 'transfer') {
    const transfer = {
      id: key,
      from: 1 + (pick % ACCOUNTS),
      to: 1 + ((pick + 1) % ACCOUNTS),
      amount: 1 + pick,
    }
    if (isExecuted) apply(model, transfer)
    return { ...base, transfer, status }
  }
  const register = model.registers.get(key) ?? { version: 0, value: '' }
  if (kind === 'set') {
    const value = `v${i}`
    if (isExecuted) model.registers.set(key, { version: register.version + 1, value })
    return {
      ...base,
      value,
      status,
      ...(outcome === 'done' ? { version: register.version + 1 } : {}),
    }
  }
  if (isWrite || outcome !== 'done') return { ...base, status }
  return kind === 'get'
    ? { ...base, status, ...register }
    : { ...base, status, sum: [...model.balances.values()].reduce((sum, each) => sum + each, 0) }
}

function apply({ balances, transfers }: Model, transfer: Transfer): void {
  const { from, to, amount } = transfer
  balances.set(from, (balances.get(from) ?? 0) - amount)
  balances.set(to, (balances.get(to) ?? 0) + amount)
  transfers.push(transfer)
}
