/**
 * Requests at the leader, from its own clients and from other nodes. The application executes them;
 * the answer carries the position after it.
 */
import type { Logger } from 'pino'
import type { Position } from '../../proto/position.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import { messageOf, WalcastError } from '../errors.ts'
import { inTime } from '../platform/inTime.ts'
import { monotonicMs } from '../platform/time.ts'
import type { AckWaits } from './ackWaits.ts'
import type { Application } from './application.ts'
import type { ApplicationWatch } from './applicationWatch.ts'
import { type Client, isSending } from './client.ts'
import { deliver } from './delivery.ts'
import { type FlatHeaders, fromClient } from './headers.ts'
import type { IdempotentRequests } from './idempotentRequests.ts'
import type { PositionCookie } from './positionCookie.ts'
import type { Answer } from './relayedAnswer.ts'
import type { Bodies } from './replayableBody.ts'
import { isRead } from './routes.ts'
import type { WriteGate } from './writeGate.ts'

export interface LeaderSideParts {
  /** Undefined while no application is known. */
  application(): Application | undefined
  readonly watch: ApplicationWatch
  readonly bodies: Bodies
  readonly keyed: IdempotentRequests
  readonly cookie: PositionCookie
  readonly acks: AckWaits
  readonly view: DatabaseView
  readonly log: Logger
  readonly admission: WriteGate
  /** Longest wait for the position after a write. */
  readonly settleMs: number
}

export class LeaderSide {
  readonly #parts: LeaderSideParts

  constructor(parts: LeaderSideParts) {
    this.#parts = parts
  }

  get canExecute(): boolean {
    return this.#parts.application() !== undefined
  }

  /**
   * Executes a client's own request; a write first waits until writes are taken. Resolves with
   * `lead` when this node is no longer the leader and nothing was executed. Throws LEADER_AWAY,
   * LEADER_ALONE, TOO_MANY_HELD and what `execute` throws.
   */
  async take(client: Client, isWrite: boolean): Promise<'answered' | 'lead'> {
    const { admission, view } = this.#parts
    // Nothing waits between the last look and the write: a change of role that looks for writes
    // inside finds it.
    while (isWrite && admission.refuse())
      if (!(await admission.admit(client))) return client.isGone ? 'answered' : 'lead'
    if (view.role() !== 'leader') return 'lead'
    await this.execute(client, fromClient(client.request, client.origin), false, isWrite)
    return 'answered'
  }

  /**
   * Throws NO_APPLICATION, BAD_REQUEST, and what `Application.ask` and `IdempotentRequests.run`
   * throw. `forNode`: another node sets the cookie. `isWrite`: a change of role waits for the
   * request.
   */
  async execute(
    client: Client,
    headers: FlatHeaders,
    forNode: boolean,
    isWrite = !isRead(client.method),
  ): Promise<void> {
    const ended = isWrite ? this.#parts.admission.begin(() => isSending(client.request)) : () => {}
    try {
      await this.#execute(client, headers, forNode, isWrite, ended)
    } finally {
      ended()
    }
  }

  /** Calls `ended` when the application has answered and what it committed is known. */
  async #execute(
    client: Client,
    headers: FlatHeaders,
    forNode: boolean,
    mayWrite: boolean,
    ended: () => void,
  ): Promise<void> {
    const { bodies, keyed, cookie, acks, watch, view } = this.#parts
    const application = this.#parts.application()
    if (!application) throw new WalcastError('NO_APPLICATION')
    const unable = watch.refuse(mayWrite)
    if (unable) throw unable
    const isWrite = !isRead(client.method)
    const level = acks.levelFor(client.request, isWrite)
    const key = isWrite ? keyed.keyOf(client) : undefined
    const body = bodies.of(client)
    const ask = (): Promise<Answer> => application.ask(client, headers, body, key !== undefined)
    const incarnation = view.incarnation()
    const answer =
      key === undefined ? await ask() : await keyed.run(client, key, forNode, body, ask)
    const settled = await this.#positionAfter()
    // If the leadership ended meanwhile, the write may be lost: no later position contains it then.
    const position = view.lasted(incarnation) ? settled : undefined
    if (key !== undefined && position) keyed.settle(key, position.txid)
    ended()
    const stale = position ? undefined : 'unknown'
    // Also for an answer that was kept: replicas that held the write then need not hold it now.
    const held = level && (await acks.headersFor(position, level))
    deliver(client, answer, { position, stale, isWrite, acks: held }, forNode ? undefined : cookie)
  }

  /** Undefined when no position could be told; the answer goes out all the same. */
  async #positionAfter(): Promise<Position | undefined> {
    const { view, log, settleMs } = this.#parts
    try {
      const settled = await inTime(view.settle(), monotonicMs() + settleMs)
      if (!settled)
        log.warn(
          { settleMs },
          'the WAL was not read to its end in time; an answer carries no position',
        )
      return settled?.value
    } catch (error) {
      log.warn(
        { error: messageOf(error) },
        'the WAL could not be read; an answer carries no position',
      )
      return undefined
    }
  }
}
