/** The operator's actions on roles, and those by which nodes hand leadership to each other. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Position } from '../../proto/position.ts'
import { WalcastError } from '../errors.ts'
import { headerOf } from './headers.ts'
import type { NodeRole } from './view.ts'

export const PROMOTE_PATH = '/_walcast/promote'
export const DEMOTE_PATH = '/_walcast/demote'
export const SWITCHOVER_PATH = '/_walcast/switchover'
export const TAKE_OVER_PATH = '/_walcast/take-over'
export const FITNESS_PATH = '/_walcast/fitness'
/** What a node may ask of another, with a token in place of the secret. */
export const NODE_PATHS: ReadonlySet<string> = new Set([DEMOTE_PATH, SWITCHOVER_PATH, TAKE_OVER_PATH])

export interface NodePlace {
  readonly node: string
  /** HOST:PORT at which others reach it. */
  readonly address: string
}

export interface KnownLoss {
  /** Null when their number is not known. */
  readonly transactions: number | null
  readonly detail: string
}

export interface PromoteAnswer extends NodePlace {
  readonly role: NodeRole
  readonly epoch: number
  readonly txid: number
  /** The last position of the epoch before. */
  readonly from: Position
  readonly dryRun: boolean
  /** What spoke against it. */
  readonly reasons: readonly string[]
  readonly lost: KnownLoss | null
  readonly oldLeader:
    | (NodePlace & { readonly outcome: 'demoted' | 'unreachable' | 'refused'; readonly detail?: string })
    | null
  /** Nodes that did not answer: they may have had more. */
  readonly unheard: readonly NodePlace[]
  readonly tookMs: number
}

export interface DemoteAnswer {
  readonly node: string
  readonly role: NodeRole
  readonly epoch: number
  readonly txid: number
  /** HOST:PORT, '' when none is known. */
  readonly leader: string
  readonly tookMs: number
}

export interface SwitchoverStages {
  /** Until writes inside the application had ended. */
  readonly quietMs: number
  /** Until no process could write. */
  readonly fenceMs: number
  /** Until everything committed was captured and sent. */
  readonly drainMs: number
  /** Until the target had confirmed the same position and state. */
  readonly confirmMs: number
  /** Until this node's new role was durable. */
  readonly recordMs: number
  /** Until the target took writes. */
  readonly takeOverMs: number
  /** Until this node followed it. */
  readonly followMs: number
}

export interface SwitchoverAnswer {
  readonly from: NodePlace
  readonly to: NodePlace
  readonly epoch: number
  readonly txid: number
  /** From the first write held to the target taking writes. */
  readonly pauseMs: number
  readonly heldWrites: number
  readonly stages: SwitchoverStages
  readonly tookMs: number
}

export interface FitnessAnswer extends NodePlace {
  readonly role: NodeRole
  readonly epoch: number
  readonly txid: number
  readonly leaderTxid: number
  readonly lagMs: number
  readonly fit: boolean
  readonly reasons: readonly string[]
  readonly lost: KnownLoss | null
  readonly leader: string
  readonly members: readonly (NodePlace & {
    readonly reached: boolean
    readonly role?: NodeRole
    readonly epoch?: number
    readonly txid?: number
  })[]
}

export interface RoleActions {
  /** Throws ALREADY_LEADER, LEADER_LIVES, NOT_FIT or ROLE_CHANGING. */
  promote(how: { readonly force: boolean; readonly dryRun: boolean }, by: string): Promise<PromoteAnswer>
  /** `told`: by a node that leads in this epoch. Throws NOT_LEADER, FENCE_FAILED or ROLE_CHANGING. */
  demote(
    how: { readonly leader: string | undefined; readonly epoch: number | undefined },
    by: string,
  ): Promise<DemoteAnswer>
  /** Throws NOT_LEADER, NO_TARGET, ROLE_CHANGING, SWITCHOVER_FAILED or SWITCHOVER_UNKNOWN. */
  switchover(
    how: { readonly to: string | undefined; readonly timeoutMs: number | undefined },
    by: string,
  ): Promise<SwitchoverAnswer>
  /** The leader, fenced, has this node lead. Throws NOT_FIT, and then this node does not lead. */
  takeOver(
    how: Position & { readonly checksum: string; readonly from: string },
    by: string,
  ): Promise<NodePlace & Position>
  fitness(): Promise<FitnessAnswer>
}

const MAX_BY_CHARS = 200

/** `roles` is undefined while the node starts. */
export function addRoleRoutes(app: FastifyInstance, roles: () => RoleActions | undefined): void {
  const started = () => {
    const there = roles()
    if (!there) throw new WalcastError('STARTING')
    return there
  }
  const post = (path: string, act: (given: Given, by: string) => Promise<unknown>) =>
    app.post(path, async (request) => {
      // A web page can send a POST to this machine, though it cannot read the answer.
      if (headerOf(request.raw, 'origin') !== undefined) throw new WalcastError('FOREIGN_PAGE')
      const given = givenBy(request)
      return act(given, whoAsked(request, given))
    })
  post(PROMOTE_PATH, (given, by) =>
    started().promote({ force: flagOf(given, 'force'), dryRun: flagOf(given, 'dryRun') }, by),
  )
  post(DEMOTE_PATH, (given, by) =>
    started().demote({ leader: addressIn(given, 'leader'), epoch: countOf(given, 'epoch') }, by),
  )
  post(SWITCHOVER_PATH, (given, by) =>
    started().switchover({ to: textOf(given, 'to'), timeoutMs: countOf(given, 'timeoutMs') }, by),
  )
  post(TAKE_OVER_PATH, (given, by) => {
    const [epoch, txid] = [countOf(given, 'epoch'), countOf(given, 'txid')]
    const [checksum, from] = [textOf(given, 'checksum'), textOf(given, 'from')]
    if (epoch === undefined || txid === undefined || checksum === undefined || from === undefined)
      throw new WalcastError('BAD_REQUEST', { detail: 'epoch, txid, checksum and from are needed' })
    return started().takeOver({ epoch, txid, checksum, from }, by)
  })
  app.get(FITNESS_PATH, async () => started().fitness())
}

type Given = Readonly<Record<string, unknown>>

/** The body's fields and those of the query, which alone is signed. */
function givenBy(request: FastifyRequest): Given {
  const body: Given = Object(request.body)
  return { ...body, ...Object(request.query) }
}

function whoAsked(request: FastifyRequest, given: Given): string {
  const by = (textOf(given, 'by') ?? 'an operator').slice(0, MAX_BY_CHARS)
  // A node passes on who asked it.
  return by.endsWith(')') ? by : `${by} (${request.ip})`
}

function textOf(given: Given, name: string): string | undefined {
  const value = given[name]
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string' || value.length > 1024 || /\p{Cc}/u.test(value))
    throw new WalcastError('BAD_REQUEST', { detail: `${name} is not a text` })
  return value
}

function addressIn(given: Given, name: string): string | undefined {
  const text = textOf(given, name)
  if (text !== undefined && !/^(?:\[[0-9a-fA-F:]+\]|[^:/?#@[\]\s]+):\d{1,5}$/.test(text))
    throw new WalcastError('BAD_REQUEST', { detail: `${name} is not HOST:PORT` })
  return text
}

function countOf(given: Given, name: string): number | undefined {
  const value = given[name]
  if (value === undefined || value === null || value === '') return undefined
  const count = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  if (!Number.isSafeInteger(count) || Number(count) < 0)
    throw new WalcastError('BAD_REQUEST', { detail: `${name} is not a whole number` })
  return Number(count)
}

function flagOf(given: Given, name: string): boolean {
  const value = given[name]
  if (value === undefined || value === false || value === 'false' || value === '0') return false
  if (value === true || value === 'true' || value === '1') return true
  throw new WalcastError('BAD_REQUEST', { detail: `${name} is neither true nor false` })
}
