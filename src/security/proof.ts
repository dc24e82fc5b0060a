/**
 * Proof that an answer comes from a node of the cluster. The asker sends a random challenge and the
 * ids of the keys that it knows; the answer carries the proof:
 *
 *     walcast-challenge: HEX ID,ID
 *     walcast-proof: v1 key=ID node=NODE instance=HEX at=HOST:PORT mac=HEX
 *
 * The MAC is HMAC-SHA256 with a derived key over challenge, method, path with query, status, the
 * digest of the answer's body, the node's id, the random id of its process, the address under which
 * other nodes reach it, and the fingerprint of the TLS key that serves the connection (empty in
 * plain text). A stranger that passes on the challenge over TLS has another fingerprint. In plain
 * text the proof names the node that he asked: the asker itself, or one that is elsewhere.
 *
 * An asker whose secret has ended gets a proof that it cannot check, and is told so:
 *
 *     walcast-secret-ended: v1 key=ID mac=HEX
 *
 * That MAC has the key of the ended secret, so no stranger makes it. It proves nothing else: who
 * has stolen that secret can make it too.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { randomBytes } from '../platform/random.ts'
import type { ClusterSecrets, DerivedKey } from './clusterSecrets.ts'
import { sha256 } from './requestSignature.ts'

export const CHALLENGE_HEADER = 'walcast-challenge'
export const PROOF_HEADER = 'walcast-proof'
export const ENDED_HEADER = 'walcast-secret-ended'
/** Any node answers this path with its id and a proof. */
export const PROOF_PATH = '/_walcast/proof'

const CHALLENGE = /^([0-9a-f]{64}) ([\w-]{4,32}(?:,[\w-]{4,32}){0,7})$/
const MAX_KEY_IDS = 8
const PROOF = new RegExp(
  String.raw`^v1 key=([\w-]{4,32}) node=([\w.-]{1,128}) instance=([0-9a-f]{16}) ` +
    String.raw`at=([\w.:[\]%-]{1,262}) mac=([0-9a-f]{64})$`,
)

const ENDED = /^v1 key=([0-9a-f]{8}) mac=([0-9a-f]{64})$/

/** Who proves an answer. */
export interface Prover {
  readonly node: string
  /** Random id of its process, 16 hex digits. */
  readonly instance: string
  /** HOST:PORT under which other nodes reach it. */
  readonly address: string
}

/** By what an asker recognises a node: keys of the cluster's secrets, or that of a token. */
export interface ProofKeys {
  /** Named in the challenge; at most 8 of them. */
  readonly ids: readonly string[]
  key(id: string, purpose: 'proof'): Buffer | undefined
}

/** An answer and what it answers. */
export interface ProvenAnswer {
  readonly challenge: string
  readonly method: string
  /** Path with query. */
  readonly path: string
  readonly status: number
  readonly body: string | Uint8Array
  /** 64 hex digits of the TLS key that serves the connection; '' in plain text. */
  readonly fingerprint: string
}

export function newChallenge(): string {
  return randomBytes(32).toString('hex')
}

export interface Challenge {
  readonly challenge: string
  /** Ids of the keys that the asker knows; at most 8. */
  readonly keyIds: readonly string[]
}

/** The value of CHALLENGE_HEADER. */
export function formatChallenge({ challenge, keyIds }: Challenge): string {
  return `${challenge} ${keyIds.slice(0, MAX_KEY_IDS).join(',')}`
}

/** Undefined when the header's value is no challenge. */
export function parseChallenge(value: string | undefined): Challenge | undefined {
  const match = CHALLENGE.exec(value ?? '')
  return match ? { challenge: match[1], keyIds: match[2].split(',') } : undefined
}

/** The value of PROOF_HEADER. */
export function proveAnswer({ id, key }: DerivedKey, prover: Prover, answer: ProvenAnswer): string {
  const { node, instance, address } = prover
  const mac = macOf(key, prover, answer).toString('hex')
  return `v1 key=${id} node=${node} instance=${instance} at=${address} mac=${mac}`
}

/**
 * Whose proof this is, by the keys of an asker; undefined when it proves nothing. Those of an open
 * cluster prove nothing. `header`: as a request or an answer has it.
 */
export function nodeProvenBy(
  keys: ProofKeys,
  header: string | readonly string[] | undefined,
  answer: ProvenAnswer,
): Prover | undefined {
  const match = typeof header === 'string' ? PROOF.exec(header) : null
  if (!match) return undefined
  const [, id, node, instance, address, mac] = match
  const key = keys.key(id, 'proof')
  if (!key) return undefined
  const prover = { node, instance, address }
  const isRight = timingSafeEqual(Buffer.from(mac, 'hex'), macOf(key, prover, answer))
  return isRight ? prover : undefined
}

function macOf(
  key: Buffer,
  { node, instance, address }: Prover,
  { challenge, method, path, status, body, fingerprint }: ProvenAnswer,
): Buffer {
  const asked = ['v1', challenge, method, path, status, sha256(body)]
  const claim = [...asked, node, instance, address, fingerprint]
  return createHmac('sha256', key).update(claim.join('\n')).digest()
}

/** What is bound to one question: the challenge, and the TLS key of the connection as above. */
export type EndedQuestion = Pick<ProvenAnswer, 'challenge' | 'fingerprint'>

/** The value of ENDED_HEADER; undefined unless all secrets that the asker names have ended. */
export function sayEnded(
  secrets: Pick<ClusterSecrets, 'endedKey'>,
  keyIds: readonly string[],
  question: EndedQuestion,
): string | undefined {
  const keys = keyIds.map((id) => secrets.endedKey(id, 'proof'))
  const [key] = keys
  if (key === undefined || keys.includes(undefined)) return undefined
  return `v1 key=${keyIds[0]} mac=${endedMac(key, question).toString('hex')}`
}

/** Id of the asker's secret that has ended, as a member says; undefined when none says so. */
export function endedSecretIn(
  keys: ProofKeys,
  header: string | readonly string[] | undefined,
  question: EndedQuestion,
): string | undefined {
  const match = typeof header === 'string' ? ENDED.exec(header) : null
  if (!match) return undefined
  const [, id, mac] = match
  const key = keys.key(id, 'proof')
  if (!key) return undefined
  return timingSafeEqual(Buffer.from(mac, 'hex'), endedMac(key, question)) ? id : undefined
}

/** No proof begins like it. */
function endedMac(key: Buffer, { challenge, fingerprint }: EndedQuestion): Buffer {
  const claim = ['v1 secret ended', challenge, fingerprint]
  return createHmac('sha256', key).update(claim.join('\n')).digest()
}
