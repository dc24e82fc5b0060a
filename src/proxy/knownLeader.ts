/**
 * What a node knows of the leader that it sends requests to. It learns that by asking the leader's
 * private side, and forgets it when another one leads.
 */
import { isIncarnation } from '../../proto/lineage.ts'
import type { PeerCalls } from '../cluster/peerCalls.ts'
import type { WalcastError } from '../errors.ts'
import { isPlain } from '../plainText.ts'
import { monotonicMs } from '../platform/time.ts'
import { REPLICA_AUTH_HEADER } from '../security/requestSignature.ts'
import type { ErrorBody } from './answer.ts'
import { UNKNOWN_ADDRESS } from './clientAddress.ts'
import { type FlatHeaders, HOLD_HEADER, toNode } from './headers.ts'
import type { UpgradeTarget } from './upgradeRelay.ts'
import type { WireDial } from './wire.ts'

/** The signature of a forwarded request. The headers are those that it has by then. */
export type SignForward = (method: string, target: string, headers: FlatHeaders) => string

export interface KnownLeaderHost {
  readonly calls: PeerCalls
  /** The signature of a request that is sent to the leader now. */
  readonly sign: SignForward
  /**
   * A new connection to the node at HOST:PORT, which proves itself; undefined: nothing is proven.
   */
  readonly dial: ((address: string) => WireDial) | undefined
  /** Whether this node believes that the leader is in this epoch. */
  believes(epoch: unknown): boolean
  /** What clients may be told of an error. */
  bodyOf(error: WalcastError): ErrorBody
}

const PROBE_TIMEOUT_MS = 1000
const MAX_URL_CHARS = 2048
/**
 * The longest that the leader keeps an upgrade. Its answer has to come before this node gives the
 * upgrade up.
 */
const MAX_UPGRADE_HOLD_MS = 15_000

export class KnownLeader {
  readonly #host: KnownLeaderHost
  #address: string | undefined
  #publicUrl: string | undefined
  #epoch = 0
  #incarnation = ''
  #node = ''

  constructor(address: string | undefined, host: KnownLeaderHost) {
    this.#address = address
    this.#host = host
  }

  /**
   * HOST:PORT of its private side; undefined on the leader, and while no leader is known. This node
   * may follow another one, a relay.
   */
  get address(): string | undefined {
    return this.#address
  }

  /** Where clients find its application; undefined until it has told. */
  get publicUrl(): string | undefined {
    return this.#publicUrl
  }

  /**
   * As it last told; 0 until then. It may have taken requests for a while before this node follows
   * it.
   */
  get epoch(): number {
    return this.#epoch
  }

  /** In which it leads, as it last told; '' until it has. */
  get incarnation(): string {
    return this.#incarnation
  }

  /** Its id, as far as it is known; '' until then. */
  get node(): string {
    return this.#node
  }

  /** Forgets another leader that was known before. `incarnation`, `node`: '' when not known. */
  set(address: string | undefined, incarnation = '', node = ''): void {
    if (address !== this.#address) {
      this.#address = address
      this.#epoch = 0
      this.#incarnation = ''
      this.#node = ''
      this.#publicUrl = undefined
    }
    if (node !== '') this.#node = node
    if (incarnation !== '') this.#incarnation = incarnation
  }

  /** Whether it takes requests now. Learns its epoch and incarnation, and where clients find it. */
  async probe(): Promise<boolean> {
    const address = this.#address
    if (!address) return false
    const answer = await this.#host.calls.askRole(address, PROBE_TIMEOUT_MS)
    if (!answer || address !== this.#address) return false
    const { publicUrl, ready, epoch, incarnation, taking = answer.status === 200 } = answer.value
    if (typeof epoch === 'number' && !this.#host.believes(epoch)) return false
    if (answer.node !== '') this.#node = answer.node
    if (typeof epoch === 'number') this.#epoch = epoch
    if (isIncarnation(String(incarnation))) this.#incarnation = String(incarnation)
    if (isWebUrl(publicUrl)) this.#publicUrl = publicUrl
    // Its application does not count: the leader itself keeps what that does not take.
    return taking === true && ready === true
  }

  /**
   * An upgrade that goes to the leader with a client's headers, and may wait there until `endMs`.
   * Undefined while no leader is known.
   */
  upgrade(path: string, headers: FlatHeaders, endMs: number): UpgradeTarget | undefined {
    const { sign, dial, bodyOf } = this.#host
    const address = this.#address
    if (!address) return undefined
    const meant = toNode(headers, address, this.#incarnation, UNKNOWN_ADDRESS)
    const leftMs = Math.ceil(Math.min(endMs - monotonicMs(), MAX_UPGRADE_HOLD_MS))
    const hold = String(Math.max(1, leftMs))
    const covered = [...meant, HOLD_HEADER, hold]
    const signed = [...covered, REPLICA_AUTH_HEADER, sign('GET', path, covered)]
    const dialed = dial && { dial: () => dial(address) }
    return { origin: `http://${address}`, path, headers: signed, isNode: true, bodyOf, ...dialed }
  }
}

function isWebUrl(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > MAX_URL_CHARS) return false
  return isPlain(value) && /^https?:\/\//.test(value) && URL.canParse(value)
}
