/**
 * Reads that the leader lends to this replica because its own application does not answer: see
 * `Lender`.
 */
import type { IncomingMessage } from 'node:http'
import { formatPosition, parsePosition } from '../../proto/position.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import type { PositionWaits } from '../api/positionWaits.ts'
import { WalcastError } from '../errors.ts'
import type { Authenticator } from '../security/auth.ts'
import type { Claims } from '../security/claims.ts'
import { REPLICA_AUTH_HEADER, senderOf } from '../security/requestSignature.ts'
import type { Application } from './application.ts'
import type { ApplicationWatch } from './applicationWatch.ts'
import type { Client } from './client.ts'
import { deliver } from './delivery.ts'
import { fromNode, headerOf, INCARNATION_HEADER, LENT_HEADER, REPLAY_HEADER } from './headers.ts'
import { settledBehind } from './relayedAnswer.ts'
import { isRead } from './routes.ts'

export interface LentReadsParts {
  readonly auth: Authenticator
  readonly view: DatabaseView
  readonly watch: ApplicationWatch
  readonly waits: PositionWaits
  /** HOST:PORT of this node. */
  readonly address: string
  /** Longest wait for the position that the leader asks for. */
  readonly readWaitMs: number
  /** Judges the epoch in a token. */
  readonly claims: Claims
  application(): Application | undefined
  /** The highest epoch that this node has led or followed in. */
  epoch(): number
  /** The incarnation of this node's leader, as far as it has heard. */
  leaderIncarnation(): string
}

export class LentReads {
  readonly #parts: LentReadsParts

  constructor(parts: LentReadsParts) {
    this.#parts = parts
  }

  static isLent(request: IncomingMessage): boolean {
    return request.headers[LENT_HEADER] !== undefined
  }

  /** Why the read is not answered here; undefined when it may be. Uses up its token. */
  refuse(request: IncomingMessage): WalcastError | undefined {
    const { auth, view, watch, address, claims, epoch, leaderIncarnation } = this.#parts
    const { method = 'GET' } = request
    const token = headerOf(request, REPLICA_AUTH_HEADER)
    const refused = auth.refuseForward(request)
    if (refused) return new WalcastError('FORWARD_REFUSED', { detail: refused.message }, refused)
    if (!isRead(method))
      return new WalcastError('BAD_REQUEST', {
        detail: 'only a read is answered in place of the leader',
      })
    const theirs = senderOf(token)?.epoch ?? 0
    const unbelievable = claims.refuse({ epoch: theirs })
    if (unbelievable) return unbelievable
    if (theirs < epoch()) return new WalcastError('EARLIER_EPOCH', { mine: epoch(), theirs })
    // The leader knows better than to ask a leader or a standby.
    if (view.role() !== 'replica')
      return new WalcastError('NOT_LEADER', { address, role: view.role() })
    const mine = leaderIncarnation()
    const meant = headerOf(request, INCARNATION_HEADER) ?? ''
    if (mine === '' || meant !== mine)
      return new WalcastError('OTHER_INCARNATION', { mine, theirs: meant })
    const unable = watch.refuse(false)
    // The application may be back without having been looked at.
    if (unable) watch.lookSoon()
    return unable
  }

  /** Throws why the application was not asked, for example APP_UNREACHABLE or NOT_EXECUTED. */
  async answer(client: Client): Promise<void> {
    const { view, waits, readWaitMs } = this.#parts
    const application = this.#parts.application()
    if (!application) throw new WalcastError('NO_APPLICATION')
    const position = parsePosition(headerOf(client.request, LENT_HEADER) ?? '')
    if (!position)
      throw new WalcastError('BAD_REQUEST', { detail: `${LENT_HEADER} is not EPOCH-TXID` })
    await waits.until(position, readWaitMs).catch((error) => {
      throw new WalcastError('STALE_READ', { wanted: formatPosition(position) }, error)
    })
    const answer = await application.ask(client, fromNode(client.request), undefined)
    if (answer.header(REPLAY_HEADER) !== undefined) {
      answer.discard()
      throw new WalcastError('NOT_EXECUTED', { detail: 'the request writes' })
    }
    const { epoch, txid } = await settledBehind(answer, view)
    deliver(client, answer, { position: { epoch, txid }, isWrite: false }, undefined)
  }
}
