/**
 * Tells the leader where the copy stands. One message covers all batches of the last ACK_MS; when
 * the leader asks, because a client waits there, the answer goes out at once.
 */
import type { Body } from '../../proto/messages.ts'
import { messageOf } from '../errors.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'
import type { Applier } from './copy/applier.ts'
import type { Durability } from './copy/durability.ts'

/** The body of the message; the connection adds the database. */
export type Acknowledgement = Omit<Body<'ack'>, 'db'>

export interface AcknowledgerHost {
  copy():
    | {
        readonly applier: Pick<Applier, 'position' | 'checksum'>
        readonly durability: Pick<Durability, 'txid' | 'reach'>
      }
    | undefined
  /**
   * Whether the copy is known to be the leader's state at its position. False while pages are
   * compared.
   */
  isLevel(): boolean
  lagMs(): number
  send(acknowledgement: Acknowledgement): void
  /** A sync of the copy failed. From now on the replica acknowledges nothing as durable. */
  onSyncFailed(detail: string): void
}

/** Delay of an acknowledgement that no client waits for. */
const ACK_MS = 20

export class Acknowledger {
  readonly #host: AcknowledgerHost
  #timer: Timer | undefined
  /** The highest txids that the leader asked for and got no answer about; 0 for none. */
  #asked = 0
  #askedDurable = 0
  /** Number of the connection. A question of one is not answered on the next. */
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
