/**
 * Tells the leader where the copy stands: soon after it moved, one message for all of that time,
 * and at once when the leader asks because somebody waits there.
 */
import type { Body } from '../../proto/messages.ts'
import { messageOf } from '../errors.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'
import type { Applier } from './copy/applier.ts'
import type { Durability } from './copy/durability.ts'

/** Without what the connection adds. */
export type Acknowledgement = Omit<Body<'ack'>, 'db'>

export interface AcknowledgerHost {
  copy():
    | {
        readonly applier: Pick<Applier, 'position' | 'checksum'>
        readonly durability: Pick<Durability, 'txid' | 'reach'>
      }
    | undefined
  /**
   * Whether the copy is known to be the leader's state at its position. Not while pages are
   * compared.
   */
  isLevel(): boolean
  lagMs(): number
  send(acknowledgement: Acknowledgement): void
  /** The copy could not be synced: nothing is acknowledged as durable any more. */
  onSyncFailed(detail: string): void
}

/** Of moves that nobody waits for. */
const ACK_MS = 20

export class Acknowledger {
  readonly #host: AcknowledgerHost
  #timer: Timer | undefined
  /** Highest txids asked for and not yet answered; 0 for none. */
  #asked = 0
  #askedDurable = 0
  /** Connections so far: what was asked on one is not answered on the next. */
  #connection = 0

  constructor(host: AcknowledgerHost) {
    this.#host = host
  }

  soon(): void {
    this.#timer ??= setTimer(() => this.now(), ACK_MS)
  }

  now(): void {
    cancelTimer(this.#timer)
    this.#timer = undefined
    const copy = this.#host.copy()
    if (!copy) return
    const { position, checksum } = copy.applier
    const { epoch, txid } = position
    const isLevel = this.#host.isLevel()
    this.#host.send({
      epoch,
      txid,
      checksum: isLevel ? checksum : '',
      durableTxid: isLevel ? copy.durability.txid(epoch) : 0,
      lagMs: this.#host.lagMs(),
    })
  }

  /** The leader wants to hear when `txid` is here. */
  onAsk({ txid, durable }: Pick<Body<'ask'>, 'txid' | 'durable'>): void {
    if (durable) this.#askedDurable = Math.max(this.#askedDurable, txid)
    else this.#asked = Math.max(this.#asked, txid)
    this.#answer()
  }

  /** A batch became visible. Called on the hot path. */
  onVisible(): void {
    this.soon()
    if (this.#asked > 0 || this.#askedDurable > 0) this.#answer()
  }

  /** The copy is level with the leader after pages were compared. */
  onSynced(): void {
    this.now()
    this.#answer()
  }

  /** The connection ended. */
  reset(): void {
    cancelTimer(this.#timer)
    this.#timer = undefined
    this.#asked = 0
    this.#askedDurable = 0
    this.#connection++
  }

  #answer(): void {
    const copy = this.#host.copy()
    if (!copy || !this.#host.isLevel()) return
    const { txid } = copy.applier.position
    if (this.#asked > 0 && txid >= this.#asked) {
      this.#asked = 0
      this.now()
    }
    if (this.#askedDurable > 0 && txid >= this.#askedDurable) {
      this.#askedDurable = 0
      void this.#answerDurable(copy.durability)
    }
  }

  async #answerDurable(durability: Pick<Durability, 'reach'>): Promise<void> {
    const connection = this.#connection
    try {
      await durability.reach()
    } catch (error) {
      return this.#host.onSyncFailed(messageOf(error))
    }
    if (connection === this.#connection) this.now()
  }
}
