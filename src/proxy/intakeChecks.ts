/**
 * Whether this node takes a request or an upgrade that another node forwards. The sender proves
 * itself with a token that counts once. What is meant for another leadership is refused: it may
 * have been executed there.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { DatabaseView } from '../api/databaseView.ts'
import { WalcastError } from '../errors.ts'
import type { Authenticator } from '../security/auth.ts'
import type { Claims } from '../security/claims.ts'
import { REPLICA_AUTH_HEADER, senderOf } from '../security/requestSignature.ts'
import { headerOf, INCARNATION_HEADER } from './headers.ts'
import type { LeaderSide } from './leaderSide.ts'
import type { WriteGate } from './writeGate.ts'

export interface IntakeChecksOptions {
  readonly auth: Authenticator
  readonly view: DatabaseView
  readonly side: LeaderSide
  readonly admission: WriteGate
  /** HOST:PORT of this node. */
  readonly address: string
  /** Judges the epoch in a token. */
  readonly claims: Claims
  /** The highest epoch that this node has led or followed in. */
  epoch(): number
  /**
   * A node that has been in this epoch, above this node's, sent a request: this node is no longer
   * the leader, or never knew that it should not be.
   */
  onHigherEpoch(node: string, epoch: number): void
}

/** Connections of the server at which requests come in. */
export interface NodeConnections {
  /** A node has proven itself on this connection. */
  prove(socket: Socket, node: string): void
  /** Ends a request that keeps still, of this node if one is named; false when there is none. */
  giveWay(node?: string): boolean
}

/** Id of the node that sent the request, as far as its token says. */
export function nodeOf(request: IncomingMessage): string | undefined {
  return senderOf(headerOf(request, REPLICA_AUTH_HEADER))?.node
}

export class IntakeChecks {
  readonly #options: IntakeChecksOptions
  /** Nothing more is taken. */
  isStopping = false

  constructor(options: IntakeChecksOptions) {
    this.#options = options
  }

  /** Why the request is not taken; undefined when it is. Uses up its token. */
  refuse(request: IncomingMessage, connections: NodeConnections): WalcastError | undefined {
    const refused = this.#options.auth.refuseForward(request)
    if (refused) return new WalcastError('FORWARD_REFUSED', { detail: refused.message }, refused)
    connections.prove(request.socket, nodeOf(request) ?? '')
    return this.refuseNow(request)
  }

  /**
   * The same of a request that was taken, and has waited. Only for one whose token was accepted:
   * what the token says is acted on.
   */
  refuseNow(request: IncomingMessage): WalcastError | undefined {
    const { address, admission, view, side } = this.#options
    const token = headerOf(request, REPLICA_AUTH_HEADER)
    const ofOtherEpoch = this.#refuseOtherEpoch(token)
    if (ofOtherEpoch) return ofOtherEpoch
    if (view.role() !== 'leader')
      return new WalcastError('NOT_LEADER', { address, role: view.role() })
    if (this.isStopping) return new WalcastError('STOPPING')
    // Its position could not be told: as replicas are refused, so are requests.
    const unready = view.refuseReplicas() ?? admission.refuse()
    if (unready) return unready
    const ofOtherIncarnation = this.#refuseOtherIncarnation(headerOf(request, INCARNATION_HEADER))
    if (ofOtherIncarnation) return ofOtherIncarnation
    if (!side.canExecute) return new WalcastError('NO_APPLICATION')
    return undefined
  }

  /**
   * An earlier leader must not answer a node that has followed a later one. A token of an earlier
   * epoch may have been used up at another leader, which this one does not know: the request would
   * be executed again.
   */
  #refuseOtherEpoch(token: string | undefined): WalcastError | undefined {
    const { view, claims, onHigherEpoch } = this.#options
    const mine = this.#options.epoch()
    const sender = senderOf(token)
    if (!sender || sender.epoch === mine || view.role() !== 'leader') return undefined
    if (sender.epoch < mine)
      return new WalcastError('EARLIER_EPOCH', { mine, theirs: sender.epoch })
    const refused = claims.refuse({ epoch: sender.epoch })
    if (refused) return refused
    onHigherEpoch(sender.node, sender.epoch)
    return new WalcastError('STALE_LEADER', { mine: sender.epoch, theirs: mine })
  }

  /**
   * A leader executes nothing that is meant for another incarnation. Programs that send nothing
   * twice need not name one.
   */
  #refuseOtherIncarnation(meant: string | undefined): WalcastError | undefined {
    const mine = this.#options.view.incarnation()
    if (meant === undefined || meant === mine) return undefined
    return new WalcastError('OTHER_INCARNATION', { mine, theirs: meant })
  }
}
