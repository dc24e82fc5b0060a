/**
 * What clients asked of a bank, what they were answered, and what the bank holds in the end. See
 * programs/bankApp.ts.
 */

export interface Transfer {
  readonly id: string
  readonly from: number
  readonly to: number
  readonly amount: number
}

export type Kind = 'transfer' | 'set' | 'get' | 'accounts'

/**
 * One request and its answer. Times are of the client's monotonic clock; requests of one session
 * never overlap.
 */
export interface Exchange {
  readonly session: number
  /** The node that was asked. */
  readonly site: string
  readonly kind: Kind
  readonly startMs: number
  readonly endMs: number
  /** Id of the transfer, key of the register, or ''. */
  readonly key: string
  /** What was written into the register or read from it. */
  readonly value?: string
  readonly transfer?: Transfer
  /** 0 when no answer came. */
  readonly status: number
  /** The code of an error of walcast or the application; or why no answer came. */
  readonly code?: string
  /** Version of a register, when answered. */
  readonly version?: number
  /** Sum of all balances, when answered. */
  readonly sum?: number
  /**
   * Headers of the answer: `Walcast-Position`, `-Stale`, `-Acked`, `-Not-Replicated`,
   * `-Not-Executed`.
   */
  readonly position?: string
  readonly stale?: string
  readonly acked?: string
  readonly notReplicated?: string
  readonly notExecuted?: string
}

/** What a database holds. */
export interface BankState {
  readonly balances: ReadonlyMap<number, number>
  readonly transfers: readonly Transfer[]
  readonly registers: ReadonlyMap<string, { readonly version: number; readonly value: string }>
}

export type Outcome = 'done' | 'refused' | 'unknown'

/**
 * What a client may conclude: 503 always means not executed, a lost or broken answer means nothing.
 */
export function outcomeOf({ status }: Pick<Exchange, 'status'>): Outcome {
  if (status >= 200 && status < 300) return 'done'
  return status === 0 || status === 500 || status === 502 || status === 504 ? 'unknown' : 'refused'
}

export function isWrite({ kind }: Pick<Exchange, 'kind'>): boolean {
  return kind === 'transfer' || kind === 'set'
}

/** What a change of leaders may lose, see Expectation. */
export type Losses = 'none' | 'unreplicated' | 'any'

/** Whether an answer promised that the write survives what happened. */
export function isLasting(exchange: Exchange, losses: Losses): boolean {
  if (outcomeOf(exchange) !== 'done' || losses === 'any') return false
  return losses === 'none' || exchange.acked !== undefined
}

/** -1 when the answer had no position. */
export function epochOf({ position }: Pick<Exchange, 'position'>): number {
  return position === undefined ? -1 : Number(position.split('-', 1)[0])
}

export function describe(exchange: Exchange): string {
  const { session, site, kind, key, status, code, version, position, startMs, endMs } = exchange
  const answer = [
    String(status),
    code ?? '',
    version === undefined ? '' : `version ${version}`,
    position === undefined ? '' : `at ${position}`,
  ]
  const times = `${startMs.toFixed(1)} to ${endMs.toFixed(1)} ms`
  return (
    `${kind} ${key} by session ${session} at ${site}, ${times}: ` +
    `${answer.filter(Boolean).join(' ')}`
  )
}
