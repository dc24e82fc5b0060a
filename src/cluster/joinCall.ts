/**
 * The call by which a host joins a cluster: over TLS to the one key that the pairing code names,
 * with this node's own key. The secret of the code is proven and not sent, and the answer opens
 * only with it.
 */
import type { TLSSocket } from 'node:tls'
import { JOIN_PATH, type JoinBundle } from '../api/pairing.ts'
import { type ErrorCode, isErrorCode, messageOf, WalcastError } from '../errors.ts'
import { parseHostPort } from '../hostPort.ts'
import { plainText } from '../plainText.ts'
import { randomBytes } from '../platform/random.ts'
import { connectTls } from '../platform/sockets.ts'
import { cancelTimer, nowMs, setTimer } from '../platform/time.ts'
import { peerFingerprint } from '../security/connectionKeys.ts'
import type { PairingCode } from '../security/pairingCode.ts'
import {
  type JoinClaim,
  joinAnswerContext,
  joinAnswerKey,
  joinProof,
} from '../security/pairingProof.ts'
import { openText } from '../security/sealedText.ts'
import type { ServedKeys } from '../security/servedKeys.ts'
import { NODE_AGENT } from './peerCalls.ts'
import { exchangeOver, type SocketAnswer } from './socketExchange.ts'
import { MAX_SEALED_BYTES } from './trustCalls.ts'
import { parseTrust } from './trustFormat.ts'
import type { TrustRecord } from './trustRecord.ts'

/** The longest time for all of it. */
const TIMEOUT_MS = 20_000
const NONCE_BYTES = 16
const MAX_MESSAGE_CHARS = 500
/** The trust record is sealed twice as text: quoted, and in base64. */
const MAX_ANSWER_BYTES = 2 * MAX_SEALED_BYTES

/** What this node says of itself. */
export type Joining = Pick<JoinClaim, 'node' | 'address' | 'cluster'>

export interface Joined extends Omit<JoinBundle, 'trust'> {
  readonly trust: TrustRecord
}

/**
 * Throws PAIRING_OTHER_NODE, PAIRING_UNSEALED, NODE_UNREACHABLE, JOIN_SELF, or the error that the
 * node answers.
 */
export async function callToJoin(
  code: PairingCode,
  joining: Joining,
  keys: ServedKeys,
): Promise<Joined> {
  const { address, fingerprint } = code
  if (keys.current.fingerprint === fingerprint) throw new WalcastError('JOIN_SELF')
  const socket = connectTls({ ...hostPortOf(code), ...pinned(keys) })
  const timer = setTimer(
    () => socket.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)),
    TIMEOUT_MS,
  )
  try {
    await secured(socket)
    const found = peerFingerprint(socket)
    if (found !== fingerprint) throw otherNode(address, fingerprint, found)
    return await exchange(socket, code, joining, keys)
  } catch (error) {
    if (error instanceof WalcastError) throw error
    throw new WalcastError('NODE_UNREACHABLE', { url: address, detail: messageOf(error) }, error)
  } finally {
    cancelTimer(timer)
    socket.destroy()
  }
}

/** The key is pinned, so no authority has to vouch for it. */
function pinned({ context: secureContext }: ServedKeys) {
  return { secureContext, rejectUnauthorized: false }
}

function hostPortOf({ address }: PairingCode): { readonly host: string; readonly port: number } {
  const parsed = parseHostPort(address)
  if (!parsed) throw new WalcastError('PAIRING_CODE_BAD', { detail: 'its address is none' })
  return parsed
}

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('the connection was closed')))
    socket.once('secureConnect', resolve)
  })
}

async function exchange(
  socket: TLSSocket,
  { address, fingerprint: server, id, secret }: PairingCode,
  joining: Joining,
  { current }: ServedKeys,
): Promise<Joined> {
  const nonce = randomBytes(NONCE_BYTES).toString('hex')
  const claim: JoinClaim = { ...joining, code: id, timeMs: Math.floor(nowMs()), nonce }
  const proof = joinProof(secret, claim, { server, client: current.fingerprint })
  const answer = await exchangeOver(socket, {
    method: 'POST',
    path: JOIN_PATH,
    headers: { host: address, 'content-type': 'application/json', ...NODE_AGENT },
    body: JSON.stringify({ ...claim, proof }),
    maxBytes: MAX_ANSWER_BYTES,
  })
  const { sealed } = bodyOf(address, answer)
  const text = openText(joinAnswerKey(secret), joinAnswerContext(proof), String(sealed))
  if (text === undefined) throw unsealed(address, 'it is sealed for another code, or was changed')
  try {
    return bundleIn(text)
  } catch (error) {
    throw unsealed(address, messageOf(error))
  }
}

/** The fields of an answer. Throws the error that it tells. */
function bodyOf(address: string, { status, body }: SocketAnswer): Record<string, unknown> {
  const value = jsonIn(body)
  if (status === 200) return value
  const { code, message, cure } = value
  const key = String(code ?? '').replace(/^WALCAST_/, '')
  const said = plainText(String(message ?? ''), MAX_MESSAGE_CHARS)
  if (!isErrorCode(key))
    throw new WalcastError('NODE_ANSWER', { url: address, detail: `${status}: ${said}` })
  const advice = plainText(String(cure ?? ''), MAX_MESSAGE_CHARS)
  throw new WalcastError(key as ErrorCode, { message: said, cure: advice })
}

function jsonIn(body: Buffer): Record<string, unknown> {
  try {
    return Object(JSON.parse(body.toString('utf8')))
  } catch {
    return {}
  }
}

/** It comes from the node that made the code. Its fields are checked all the same. */
function bundleIn(text: string): Joined {
  const { cluster, leader, trust } = Object(JSON.parse(text))
  const record = parseTrust(String(trust))
  if (record.cluster === '' || cluster !== record.cluster) throw new Error('it names no cluster')
  if (typeof leader !== 'string' || !parseHostPort(leader)) throw new Error('it names no leader')
  return { cluster: record.cluster, leader, trust: record }
}

function otherNode(address: string, wanted: string, found: string | undefined): WalcastError {
  const has = found === undefined ? 'it has no key' : `its key is ${found.slice(0, 16)}`
  const detail = `${has}, and that of the code is ${wanted.slice(0, 16)}`
  return new WalcastError('PAIRING_OTHER_NODE', { address, detail })
}

function unsealed(address: string, detail: string): WalcastError {
  return new WalcastError('PAIRING_UNSEALED', { address, detail })
}
