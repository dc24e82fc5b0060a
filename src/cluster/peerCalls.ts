/** Calls between nodes over HTTP, apart from the stream. */
import { name, nodeId, time } from '../../proto/fields.ts'
import { MAX_TEXT_CHARS } from '../../proto/limits.ts'
import { parseTrail } from '../../proto/lineage.ts'
import { type ErrorCode, isErrorCode, messageOf, systemCode, WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { Agent, request } from '../platform/sockets.ts'
import { timeLimit } from '../platform/time.ts'
import { REPLICA_AUTH_HEADER, signRequest } from '../security/auth.ts'

/** The answer of a node to `GET /leader`. `PeerQuestions` judges what it claims. */
export interface PeerAnswer {
  /** The address that was asked. */
  readonly asked: string
  readonly node: string
  /** Random id of its process; '' from a version without one. */
  readonly instance: string
  /** Age of its process, ms. */
  readonly upMs: number
  readonly cluster: string
  readonly role: 'leader' | 'replica' | 'standby'
  readonly ready: boolean
  readonly epoch: number
  /** The last epoch that, as far as it knows, began with a promotion. */
  readonly term: number
  readonly txid: number
  /** Epoch of its position. The epoch in its role file may be higher. */
  readonly positionEpoch: number
  /** Its history in the format of `formatTrail`; '' when unknown. */
  readonly history: string
  /** Id of the node that led in the highest epoch that it knows; '' when it knows none. */
  readonly lastLeader: string
  /** HOST:PORT of its leader: its own while it leads, '' when it knows none. */
  readonly address: string
  /** Reading of its clock. */
  readonly timeMs: number
}

export interface PeerIdentity {
  readonly secret: string | undefined
  node(): string
  epoch(): number
  /** Reading of this node's clock. */
  nowMs(): number
}

const ROLES: readonly unknown[] = ['leader', 'replica', 'standby']
const MAX_ANSWER_BYTES = 64 * 1024
const NO_CONNECTION: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'UND_ERR_CONNECT_TIMEOUT',
])
/** The longest time to connect, ms. */
const MAX_CONNECT_MS = 10_000
/** The most nodes asked at once. */
const AT_ONCE = 16

/** Asks the node at `address`. Undefined when no walcast node answers there in time. */
async function askPeer(address: string, timeoutMs: number): Promise<PeerAnswer | undefined> {
  const answer = await askRole(address, timeoutMs)
  return answer && parseAnswer(address, answer.value)
}

/** The unchecked answer to `GET /leader` there. Undefined when no JSON comes in time. */
export async function askRole(
  address: string,
  timeoutMs: number,
): Promise<
  { readonly status: number; readonly value: Readonly<Record<string, unknown>> } | undefined
> {
  try {
    return await call(`http://${address}/leader`, 'GET', timeoutMs)
  } catch {
    // No node there is an answer, too.
    return undefined
  }
}

/** Asks several nodes at once, and each address once. Answers come as they arrive. */
export async function askPeers(
  addresses: readonly string[],
  timeoutMs: number,
): Promise<PeerAnswer[]> {
  const left = [...new Set(addresses)]
  const answers: PeerAnswer[] = []
  const askNext = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const answer = await askPeer(next, timeoutMs)
      if (answer) answers.push(answer)
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, left.length) }, askNext))
  return answers
}

/**
 * Tells another node to do something, by a signed POST. The signature covers the query, so the
 * parameters are in there. `aheadMs`: how far its clock is ahead, if known. Throws the error of the
 * catalogue that it answers, NODE_UNREACHABLE, or NODE_ANSWER for any other answer.
 */
export async function tellPeer(
  identity: PeerIdentity,
  address: string,
  path: string,
  parameters: Readonly<Record<string, string | number>>,
  timeoutMs: number,
  aheadMs?: number,
): Promise<Record<string, unknown>> {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(parameters)) query.set(key, String(value))
  const target = `${path}?${query}`
  const url = `http://${address}${target}`
  try {
    const headers = await signed(identity, target, async () =>
      aheadMs === undefined ? clockAheadMs(identity, address, timeoutMs) : aheadMs,
    )
    const { status, value } = await call(url, 'POST', timeoutMs, headers)
    if (status === 200) return value
    throw answeredError(url, status, value)
  } catch (error) {
    if (error instanceof WalcastError) throw error
    throw new WalcastError(
      'NODE_UNREACHABLE',
      { url: `http://${address}`, detail: messageOf(error) },
      error,
    )
  }
}

/**
 * Whether a `tellPeer` that failed with `error` certainly never arrived: there was no connection.
 * An established connection never fails like this.
 */
export function wasNotSent(error: unknown): boolean {
  return error instanceof WalcastError && NO_CONNECTION.has(systemCode(error.cause))
}

/**
 * How far another node's clock is ahead of this node's, ms, give or take a round trip. Undefined
 * when it does not answer.
 */
export async function clockAheadMs(
  identity: PeerIdentity,
  address: string,
  timeoutMs: number,
): Promise<number | undefined> {
  const beganMs = identity.nowMs()
  const theirs = await askPeer(address, timeoutMs)
  return theirs && theirs.timeMs - (beganMs + identity.nowMs()) / 2
}

/** Signs by the receiver's clock, which may differ from this one by any time. */
async function signed(
  { secret, node, epoch, nowMs }: PeerIdentity,
  path: string,
  aheadMs: () => Promise<number | undefined>,
): Promise<Record<string, string>> {
  if (secret === undefined) return {}
  const theirsMs = nowMs() + ((await aheadMs()) ?? 0)
  const claim = { method: 'POST', path, node: node(), epoch: epoch(), nowMs: theirsMs }
  return { [REPLICA_AUTH_HEADER]: signRequest(secret, claim) }
}

async function call(
  url: string,
  method: 'GET' | 'POST',
  timeoutMs: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly value: Record<string, unknown> }> {
  // Shorter than the call, so that a failure to connect is told from a late answer.
  const timeout = Math.max(1, Math.min(MAX_CONNECT_MS, timeoutMs / 2))
  const dispatcher = new Agent({ connect: { timeout }, connections: 1 })
  try {
    const signal = timeLimit(timeoutMs)
    const { statusCode, body } = await request(url, {
      method,
      headers: { ...NODE_AGENT, ...headers },
      signal,
      reset: true,
      dispatcher,
    })
    let text = ''
    for await (const chunk of body) {
      text += chunk
      if (text.length > MAX_ANSWER_BYTES) throw new Error('its answer is too long')
    }
    return { status: statusCode, value: Object(JSON.parse(text)) }
  } finally {
    await dispatcher.destroy()
  }
}

/** Its numbers, its node and its address are not judged: `Claims` and `wrongIn` do. */
function parseAnswer(asked: string, value: Record<string, unknown>): PeerAnswer | undefined {
  const { node, cluster, role, ready, epoch, term, txid, address, timeMs } = value
  const { instance = '', upMs = 0, positionEpoch = 0, history = '', lastLeader = '' } = value
  const isWhole =
    typeof node === 'string' &&
    node !== '' &&
    name.accepts(instance) &&
    isDuration(upMs) &&
    name.accepts(cluster) &&
    ROLES.includes(role) &&
    typeof ready === 'boolean' &&
    [epoch, term, txid, positionEpoch].every((value) => typeof value === 'number') &&
    typeof history === 'string' &&
    parseTrail(history) !== undefined &&
    nodeId.accepts(lastLeader) &&
    typeof address === 'string' &&
    time.accepts(timeMs)
  if (!isWhole) return undefined
  const place = { asked, node, instance, upMs, cluster, role, ready, address, timeMs }
  return { ...place, epoch, term, txid, positionEpoch, history, lastLeader } as PeerAnswer
}

/** The age of a process may seem longer than any duration, when its clock was set. */
function isDuration(value: unknown): boolean {
  return Number.isFinite(value) && Number(value) >= 0
}

function answeredError(
  url: string,
  status: number,
  { code, message }: Record<string, unknown>,
): WalcastError {
  const key = String(code ?? '').replace(/^WALCAST_/, '')
  if (isErrorCode(key))
    return new WalcastError(key as ErrorCode, {
      message: plainText(String(message ?? ''), MAX_TEXT_CHARS),
    })
  return new WalcastError('NODE_ANSWER', {
    url,
    detail: `${status}: ${plainText(String(message ?? ''), 200)}`,
  })
}

/**
 * The user agent of nodes and the command line in their calls to a node, which tells these from the
 * requests of an application.
 */
export const NODE_AGENT = { 'user-agent': 'walcast' } as const
