/**
 * What a node knows of the leader that it sends requests to: learned by asking its private side,
 * and forgotten with it.
 */
import { isIncarnation } from '../../proto/lineage.ts'
import { askRole } from '../cluster/peerCalls.ts'
import type { WalcastError } from '../errors.ts'
import { monotonicMs } from '../platform/time.ts'
import { REPLICA_AUTH_HEADER } from '../security/auth.ts'
import type { ErrorBody } from './answer.ts'
import { UNKNOWN_ADDRESS } from './clientAddress.ts'
import { type FlatHeaders, HOLD_HEADER, toNode } from './headers.ts'
import type { UpgradeTarget } from './upgradeRelay.ts'

export interface KnownLeaderHost {
  /** The token for a request that is sent now. */
  sign(method: string, target: string): string
  /** What clients may be told of an error. */
  bodyOf(error: WalcastError): ErrorBody
}

const PROBE_TIMEOUT_MS = 1000
/**
 * The longest that the leader keeps an upgrade: its answer has to come before the upgrade is given
 * up here.
 */
const MAX_UPGRADE_HOLD_MS = 15_000

export class KnownLeader {
  readonly #host: KnownLeaderHost
  #address: string | undefined
  #publicUrl: string | undefined
  #epoch = 0
  #incarnation = ''

  constructor(address: string | undefined, host: KnownLeaderHost) {
    this.#address = address
    this.#host = host
  }

  /**
   * HOST:PORT of its private side; undefined on the leader, and while none is known. Not always the
   * node that this one follows.
   */
  get address(): string | undefined {
    return this.#address
  }

  /** Where clients find its application; undefined until it has told. */
  get publicUrl(): string | undefined {
    return this.#publicUrl
  }

  /**
   * As it last told: it may have taken requests for a while when this node comes to follow it. 0
   * until then.
   */
  get epoch(): number {
    return this.#epoch
  }

  /** In which it leads, as it last told; '' until it has. */
  get incarnation(): string {
    return this.#incarnation
  }

  /** Whoever was known before is forgotten. `incarnation`: '' when it is not known. */
  set(address: string | undefined, incarnation = ''): void {
    if (address !== this.#address) {
      this.#address = address
      this.#epoch = 0
      this.#incarnation = ''
      this.#publicUrl = undefined
    }
    if (incarnation !== '') this.#incarnation = incarnation
  }

  /** Whether it takes requests now. Learns its epoch and incarnation, and where clients find it. */
  async probe(): Promise<boolean> {
    const address = this.#address
    if (!address) return false
    const answer = await askRole(address, PROBE_TIMEOUT_MS)
    if (!answer || address !== this.#address) return false
    const { publicUrl, ready, epoch, incarnation, taking = answer.status === 200 } = answer.value
    if (Number.isSafeInteger(epoch)) this.#epoch = Number(epoch)
    if (isIncarnation(String(incarnation))) this.#incarnation = String(incarnation)
    if (typeof publicUrl === 'string') this.#publicUrl = publicUrl
    // Whatever the status says of its application: the leader itself keeps what that does not take.
    return taking === true && ready === true
  }

  /**
   * An upgrade that goes to it, with a client's headers, and waits until `endMs` there; undefined
   * while none is known.
   */
  upgrade(path: string, headers: FlatHeaders, endMs: number): UpgradeTarget | undefined {
    const { sign, bodyOf } = this.#host
    const address = this.#address
    if (!address) return undefined
    const meant = toNode(headers, address, this.#incarnation, UNKNOWN_ADDRESS)
    const leftMs = Math.ceil(Math.min(endMs - monotonicMs(), MAX_UPGRADE_HOLD_MS))
    const hold = String(Math.max(1, leftMs))
    const signed = [...meant, HOLD_HEADER, hold, REPLICA_AUTH_HEADER, sign('GET', path)]
    return { origin: `http://${address}`, path, headers: signed, isNode: true, bodyOf }
  }
}
