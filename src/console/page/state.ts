/** All that the page knows of its node, and how news changes it. Pure. */
import type { AuditEntry } from '../../api/audit.ts'
import type { ClusterAnswer } from '../../api/clusterOverview.ts'
import type { ConsoleBackups, ConsoleEvent, ConsoleSession } from '../../api/consoleSession.ts'
import type { LagPoint as MeasuredPoint } from '../../api/lagHistory.ts'
import type { LagReport, NodeStatus } from '../../api/nodeStatus.ts'
import type { RestoreReport } from '../../api/past.ts'

/** `away`: since when the node does not answer, ms in the browser's clock. */
export type Link =
  | { readonly is: 'connecting' }
  | { readonly is: 'live' }
  | { readonly is: 'away'; readonly sinceMs: number; readonly nextTryMs: number }

export interface LagPoint {
  /** The node's time, ms. */
  readonly atMs: number
  /** Of this copy; on a leader that of its slowest replica that is there. */
  readonly lagMs: number
}

export interface ConsoleState {
  /** Id of the node; '' before its first answer. */
  readonly node: string
  readonly isOpen: boolean
  /** Undefined before the first answer; null: nobody is logged in. */
  readonly session: ConsoleSession | null | undefined
  readonly link: Link
  /** The node's time by its last word, ms; 0 before the first. */
  readonly nowMs: number
  readonly status: NodeStatus | undefined
  readonly lag: LagReport | undefined
  /** All nodes, as this one sees them. */
  readonly cluster: ClusterAnswer | undefined
  readonly backups: ConsoleBackups | undefined
  /** The last restore that was asked of this node; null: none. */
  readonly restore: RestoreReport | null | undefined
  /** Newest last. */
  readonly audit: readonly AuditEntry[]
  /** One a second, while the page was there. */
  readonly lagPoints: readonly LagPoint[]
  /** The newest points of the history of lag: the last one still grows. */
  readonly measured: readonly MeasuredPoint[]
}

export const FIRST_STATE: ConsoleState = {
  node: '',
  isOpen: false,
  session: undefined,
  link: { is: 'connecting' },
  nowMs: 0,
  status: undefined,
  lag: undefined,
  cluster: undefined,
  backups: undefined,
  restore: undefined,
  audit: [],
  lagPoints: [],
  measured: [],
}

/** A quarter of an hour. */
const MAX_LAG_POINTS = 900

/** `data`: JSON. The state itself when the event is unknown or broken. */
export function withEvent(state: ConsoleState, event: ConsoleEvent, data: string): ConsoleState {
  const value = parsed(data)
  if (value === undefined) return state
  switch (event) {
    case 'clock':
      return withClock(state, Date.parse(String(Object(value).at)))
    case 'session':
      return { ...state, session: value as ConsoleSession | null }
    case 'node': {
      const status = value as NodeStatus
      return { ...state, status, node: status.node }
    }
    case 'lag':
      return { ...state, lag: value as LagReport }
    case 'measured':
      return { ...state, measured: value as readonly MeasuredPoint[] }
    case 'cluster':
      return { ...state, cluster: value as ClusterAnswer }
    case 'backups':
      return { ...state, backups: value as ConsoleBackups }
    case 'restore':
      return { ...state, restore: value as RestoreReport | null }
    case 'audit':
      return { ...state, audit: value as readonly AuditEntry[] }
    default:
      return state
  }
}

/** Without what only those see who are logged in. */
export function withoutSession(state: ConsoleState): ConsoleState {
  const { node, isOpen, link } = state
  return { ...FIRST_STATE, node, isOpen, link, session: null }
}

function withClock(state: ConsoleState, nowMs: number): ConsoleState {
  if (!Number.isFinite(nowMs)) return state
  const { lag, status, lagPoints } = state
  if (!lag || !status) return { ...state, nowMs }
  const point: LagPoint = { atMs: nowMs, lagMs: lagOf(status, lag) }
  return { ...state, nowMs, lagPoints: [...lagPoints, point].slice(-MAX_LAG_POINTS) }
}

function lagOf({ role, replicas }: NodeStatus, { lagMs }: LagReport): number {
  if (role !== 'leader') return lagMs
  return Math.max(0, ...replicas.filter(({ connected }) => connected).map((each) => each.lagMs))
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch {
    return undefined
  }
}
