/** The operator's actions on the roles and the list of the nodes, and those by which nodes hand leadership to each other. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Position } from '../../proto/position.ts'
import {
  DEMOTE_PATH,
  type DemoteAnswer,
  FITNESS_PATH,
  type FitnessAnswer,
  type NodePlace,
  PROMOTE_PATH,
  type PromoteAnswer,
  REPLICAS_PATH,
  SWITCHOVER_PATH,
  type SwitchoverAnswer,
} from '../api/roleAnswers.ts'
import { WalcastError } from '../errors.ts'
import { parseHostPort } from '../hostPort.ts'
import { headerOf } from '../proxy/headers.ts'

export const TAKE_OVER_PATH = '/_walcast/take-over'
/** Tells a node that another process has its id. */
export const TWIN_PATH = '/_walcast/twin'
/** What a node may ask of another, with a token in place of the secret. */
export const NODE_PATHS: ReadonlySet<string> = new Set([
  DEMOTE_PATH,
  SWITCHOVER_PATH,
  TAKE_OVER_PATH,
  TWIN_PATH,
])

export interface TakeOver extends Position {
  /** Of the state at that position. */
  readonly checksum: string
  /** Id of the leader. */
  readonly from: string
  /** Id of the node that is meant: a token is good for any node, and others may be in that very state. */
  readonly to: string
  /** Until when it may come to lead, by its own clock, ms. */
  readonly until: number
}

export interface RoleActions {
  /**
   * Throws ALREADY_LEADER, LEADER_LIVES, NOT_FIT, FENCE_FAILED, DISK_FULL, WRITE_FAILED, TAKE_OVER_FAILED or ROLE_CHANGING, and then this
   * node follows as before; ROLE_UNSURE, and then it follows, but may lead after its next start.
   */
  promote(how: { readonly force: boolean; readonly dryRun: boolean }, by: string): Promise<PromoteAnswer>
  /** `epoch`: in which the node leads that says so; undefined when an operator asks. Throws NOT_LEADER, STALE_LEADER, FENCE_FAILED, DISK_FULL, WRITE_FAILED, ROLE_UNSURE or ROLE_CHANGING, and then this node leads on. */
  demote(
    how: { readonly leader: string | undefined; readonly epoch: number | undefined },
    by: string,
  ): Promise<DemoteAnswer>
  /** Throws NO_LEADER, NO_TARGET, ROLE_CHANGING or SWITCHOVER_FAILED, and then the leader leads on; SWITCHOVER_UNKNOWN or LEADERLESS, and then it follows. */
  switchover(
    how: { readonly to: string | undefined; readonly timeoutMs: number | undefined },
    by: string,
  ): Promise<SwitchoverAnswer>
  /** The leader, fenced, has this node lead. Throws TAKE_OVER_FAILED, FENCE_FAILED, DISK_FULL or WRITE_FAILED, and then this node does not lead; ROLE_UNSURE, and then it follows, but may lead after its next start. */
  takeOver(how: TakeOver, by: string): Promise<NodePlace & Position>
  /** A process at `address` says that it has this node's id. This node asks it, and the younger of the two ends. */
  twin(address: string): Promise<void>
  fitness(): Promise<FitnessAnswer>
  /** Takes a replica that is away off the list; durable when it resolves, if the disk allows. Throws REPLICA_UNKNOWN or REPLICA_CONNECTED. */
  forget(node: string, by: string): Promise<void>
}

const MAX_BY_CHARS = 200

/** `roles` is undefined until the node has come up in its first role. */
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
    const [epoch, txid, until] = [countOf(given, 'epoch'), countOf(given, 'txid'), countOf(given, 'until')]
    const [checksum, from, to] = [textOf(given, 'checksum'), textOf(given, 'from'), textOf(given, 'to')]
    if (epoch === undefined || txid === undefined || until === undefined || !checksum || !from || !to)
      throw new WalcastError('BAD_REQUEST', {
        detail: 'epoch, txid, checksum, from, to and until are needed',
      })
    return started().takeOver({ epoch, txid, checksum, from, to, until }, by)
  })
  post(TWIN_PATH, async (given) => {
    const address = addressIn(given, 'address')
    if (address === undefined) throw new WalcastError('BAD_REQUEST', { detail: 'address is needed' })
    await started().twin(address)
    return {}
  })
  app.get(FITNESS_PATH, async () => started().fitness())
  app.delete(REPLICAS_PATH, async (request) => {
    const given = givenBy(request)
    const node = textOf(given, 'node')
    if (!node) throw new WalcastError('BAD_REQUEST', { detail: 'node is not the id of a replica' })
    await started().forget(node, whoAsked(request, given))
    return { forgotten: node }
  })
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
  if (text === undefined) return undefined
  // It goes into the role file: one that is none would keep the node from starting.
  if (!parseHostPort(text)) throw new WalcastError('BAD_REQUEST', { detail: `${name} is not HOST:PORT` })
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
