/** Calls between nodes over HTTP, apart from the stream. */
import { WalcastError } from '../errors.ts'
import { timeLimit } from '../platform/time.ts'
import type { ClusterSecrets } from '../security/clusterSecrets.ts'
import {
  CHALLENGE_HEADER,
  formatChallenge,
  newChallenge,
  nodeProvenBy,
  PROOF_HEADER,
} from '../security/proof.ts'
import { NO_BODY, REPLICA_AUTH_HEADER, sha256, signRequest } from '../security/requestSignature.ts'
import type { OldNodes } from './oldNodes.ts'
import { type PeerAnswer, parsePeerAnswer } from './peerAnswer.ts'
import type { PeerDialer } from './peerDialer.ts'
import { answeredError, unreachable } from './peerFailures.ts'
import type { RequestPeer } from './peerRequest.ts'

/** What goes with a call beside its parameters. */
export interface Sent {
  /** JSON. */
  readonly body?: string
  /** The longest answer that is read. */
  readonly maxAnswerBytes?: number
  /** Id of the secret that signs; otherwise the one that signs everything. */
  readonly keyId?: string
  /** Ends the call, and closes its connection. */
  readonly signal?: AbortSignal
}

/** The node that asks. */
export interface Asker {
  readonly secrets: ClusterSecrets
  readonly dialer: Pick<PeerDialer, 'unproven' | 'requirePlaced' | 'onTransportTold'>
  readonly request: RequestPeer
  /** Undefined unless nodes of the version before keys are talked to as well. */
  readonly old?: OldNodes | undefined
  node(): string
  epoch(): number
  /** Reading of this node's clock. */
  nowMs(): number
}

/** Another node and its clock, as it told them. */
export interface PeerClock {
  /** Its id, as it proved; '' in an open cluster. */
  readonly node: string
  /** How far its clock is ahead of this node's, ms, give or take a round trip. */
  readonly aheadMs: number
}

/** An answer in JSON that comes from a node of this cluster. */
export interface Told {
  readonly status: number
  readonly value: Readonly<Record<string, unknown>>
  /** Id of the node, as it proved; '' in an open cluster, and of one that proves nothing. */
  readonly node: string
}

type Method = 'GET' | 'POST'

/** The headers of a signed request, and the node that they name. */
interface Signed {
  readonly to: PeerClock
  readonly headers: Readonly<Record<string, string>>
  /** The same for a node of the version before keys. */
  readonly oldHeaders: Readonly<Record<string, string>> | undefined
}

const MAX_ANSWER_BYTES = 64 * 1024
const JSON_BODY = { 'content-type': 'application/json' } as const
/** The longest time to connect, ms. */
const MAX_CONNECT_MS = 10_000
/** The most nodes asked at once. */
const AT_ONCE = 16

export class PeerCalls {
  readonly #asker: Asker

  constructor(asker: Asker) {
    this.#asker = asker
  }

  /**
   * The unchecked answer to `GET /leader` there. Undefined when no node of this cluster gives one
   * in time.
   */
  async askRole(address: string, timeoutMs: number): Promise<Told | undefined> {
    try {
      return await this.#call(address, 'GET', '/leader', timeoutMs, undefined)
    } catch {
      // No node there is an answer, too.
      return undefined
    }
  }

  /** Asks several nodes at once, and each address once. Answers come as they arrive. */
  async askAll(addresses: readonly string[], timeoutMs: number): Promise<PeerAnswer[]> {
    const left = [...new Set(addresses)]
    const answers: PeerAnswer[] = []
    const askNext = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const answer = await this.#ask(next, timeoutMs)
        if (answer) answers.push(answer)
      }
    }
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, left.length) }, askNext))
    return answers
  }

  /**
   * Tells another node to do something, by a signed POST. The signature covers the query, so the
   * parameters are in there. `clock`: the other node's, if known. Throws the error of the catalogue
   * that it answers, NODE_UNREACHABLE, or NODE_ANSWER for any other answer.
   */
  async tell(
    address: string,
    path: string,
    parameters: Readonly<Record<string, string | number>>,
    timeoutMs: number,
    clock?: PeerClock,
    sent: Sent = {},
  ): Promise<Record<string, unknown>> {
    const query = new URLSearchParams()
    for (const [key, value] of Object.entries(parameters)) query.set(key, String(value))
    // A request loses a "?" that nothing follows, and the signature would not match.
    const target = query.size === 0 ? path : `${path}?${query}`
    return (await this.#ordered(address, 'POST', target, timeoutMs, clock, sent)).value
  }

  /**
   * GETs what only members may read, by a signed request. `clock`: the other node's, if known.
   * Throws what `tell` throws.
   */
  read(
    address: string,
    path: string,
    timeoutMs: number,
    clock: PeerClock | undefined,
    maxAnswerBytes: number,
  ): Promise<Told> {
    return this.#ordered(address, 'GET', path, timeoutMs, clock, { maxAnswerBytes })
  }

  /** Whether nodes prove nothing to each other. */
  get isOpen(): boolean {
    return this.#asker.secrets.isOpen
  }

  async #ordered(
    address: string,
    method: Method,
    target: string,
    timeoutMs: number,
    clock: PeerClock | undefined,
    sent: Sent,
  ): Promise<Told> {
    const url = `http://${address}${target}`
    try {
      const theirs = this.isOpen ? undefined : (clock ?? (await this.clock(address, timeoutMs)))
      if (!theirs && !this.isOpen) throw new Error('it gave no answer that proves who it is')
      const signed = theirs && this.#signed(method, target, theirs, sent)
      const told = await this.#call(address, method, target, timeoutMs, signed, sent)
      if (told.status === 200) return told
      throw answeredError(url, told.status, told.value)
    } catch (error) {
      throw unreachable(address, error)
    }
  }

  /** The node there and its clock. Undefined when it does not answer. */
  async clock(address: string, timeoutMs: number): Promise<PeerClock | undefined> {
    return this.provenClock(address, timeoutMs).catch(() => undefined)
  }

  /** The same. Throws why there is none: NODE_UNREACHABLE, NODE_ANSWER or PEER_UNPROVEN. */
  async provenClock(address: string, timeoutMs: number): Promise<PeerClock> {
    const { nowMs } = this.#asker
    const beganMs = nowMs()
    const told = await this.#call(address, 'GET', '/leader', timeoutMs, undefined).catch(
      (error: unknown) => {
        throw unreachable(address, error)
      },
    )
    const answer = this.#answerIn(address, told)
    if (answer) return { node: answer.node, aheadMs: answer.timeMs - (beganMs + nowMs()) / 2 }
    const detail = `${told.status}, and not where it stands`
    throw new WalcastError('NODE_ANSWER', { url: address, detail })
  }

  /** Asks the node at `address`. Undefined when no walcast node answers there in time. */
  async #ask(address: string, timeoutMs: number): Promise<PeerAnswer | undefined> {
    const told = await this.askRole(address, timeoutMs)
    return told && this.#answerIn(address, told)
  }

  #answerIn(address: string, told: Told): PeerAnswer | undefined {
    const parsed = parsePeerAnswer(address, told.value)
    if (parsed && told.node !== '')
      this.#asker.dialer.onTransportTold(address, parsed.takesPlainText)
    // A node that proves its id does not answer for another one.
    return parsed && (told.node === '' || told.node === parsed.node) ? parsed : undefined
  }

  /** Signs by the receiver's clock, which may differ from this one by any time. */
  #signed(method: Method, path: string, theirs: PeerClock, { body, keyId }: Sent): Signed {
    const { secrets, node, epoch, nowMs, old } = this.#asker
    const claim = { method, path, epoch: epoch(), nowMs: nowMs() + theirs.aheadMs }
    const signature = signRequest(keyId ? secrets.signingWith(keyId) : secrets, {
      ...claim,
      purpose: 'order',
      from: node(),
      to: theirs.node,
      body: body === undefined ? NO_BODY : sha256(body),
      headers: [],
    })
    return {
      to: theirs,
      headers: { [REPLICA_AUTH_HEADER]: signature },
      oldHeaders: old?.headersFor({ ...claim, node: node() }),
    }
  }

  #challengeHeader(challenge: string): Record<string, string> {
    const { ids: keyIds } = this.#asker.secrets
    return keyIds.length === 0 ? {} : { [CHALLENGE_HEADER]: formatChallenge({ challenge, keyIds }) }
  }

  /** Rejects when the answer does not prove that it comes from a node of this cluster. */
  async #call(
    address: string,
    method: Method,
    path: string,
    timeoutMs: number,
    signed: Signed | undefined,
    { body: sent, maxAnswerBytes = MAX_ANSWER_BYTES, signal }: Sent = {},
  ): Promise<Told> {
    const { dialer, secrets, request } = this.#asker
    const challenge = newChallenge()
    // Shorter than the call, so that a failure to connect is told from a late answer.
    const connectMs = Math.max(1, Math.min(MAX_CONNECT_MS, timeoutMs / 2))
    const limit = timeLimit(timeoutMs)
    const common = { host: address, ...NODE_AGENT }
    const question = {
      method,
      path,
      headers: {
        ...common,
        ...(sent === undefined ? {} : JSON_BODY),
        ...signed?.headers,
        ...this.#challengeHeader(challenge),
      },
      oldHeaders: { ...common, ...signed?.oldHeaders },
      ...(sent === undefined ? {} : { body: sent }),
      maxBytes: maxAnswerBytes,
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
    }
    // A signature is sent to nobody but the node that it names.
    const answered = await request(address, question, connectMs, signed?.to.node)
    const { status, fingerprint } = answered
    const body = answered.body.toString('utf8')
    const value = Object(JSON.parse(body))
    if (secrets.isOpen || answered.isOld) return { status, value, node: '' }
    const proven = { challenge, method, path, status, body, fingerprint }
    const prover = nodeProvenBy(secrets, answered.headers[PROOF_HEADER], proven)
    if (!prover) throw dialer.unproven(address, 'its answer proves nothing')
    dialer.requirePlaced(address, prover)
    const { keyOwner = prover.node } = answered
    if (keyOwner !== prover.node)
      throw dialer.unproven(address, `it says to be ${prover.node} with the key of ${keyOwner}`)
    return { status, value, node: prover.node }
  }
}

/**
 * The user agent of nodes and the command line in their calls to a node, which tells these from the
 * requests of an application.
 */
export const NODE_AGENT = { 'user-agent': 'walcast' } as const
