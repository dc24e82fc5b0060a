/** How a leader and a replica that says hello come to a place in history from which the replica goes on. */
import type { LedPosition, Lineage } from '../../proto/lineage.ts'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import type { History } from './history.ts'

export interface HandshakeHost {
  readonly db: string
  readonly node: string
  readonly version: string
  readonly epoch: number
  readonly pageSize: number
  readonly heartbeatMs: number
  readonly history: Pick<History, 'find' | 'nextSequence'>
  cluster(): string
  /** The node where commits are made, and where it is reached. */
  source(): { readonly node: string; readonly address: string }
  position(): {
    readonly epoch: number
    readonly txid: number
    readonly checksum: string
    readonly pages: number
    readonly isOpen: boolean
  }
  /** Whether this node's database came from that position, so that nothing of it is missing here. */
  contains(position: LedPosition): boolean
  /** The last epoch that began with a promotion. */
  term(): number
  /** Epochs of which it is known how they began. */
  lineage(): Lineage
  /** The other nodes of the cluster, as far as they are known. */
  members(): readonly { readonly node: string; readonly address: string }[]
  /** A replica has been in a higher epoch than this node: another node leads, or has led since. */
  onHigherEpoch(hello: Pick<Body<'hello'>, 'node' | 'epoch' | 'term' | 'advertise'>): void
  /** Why a replica at this position cannot be fed now. */
  refuse(position: { readonly epoch: number; readonly txid: number }): WalcastError | undefined
}

/** Throws what speaks against feeding whoever says this: WRONG_CLUSTER, STALE_LEADER, SELF_LEADER, WRONG_PAGE_SIZE or what the host says. */
export function requireFeedable(hello: Body<'hello'>, host: HandshakeHost): void {
  if (hello.node === '') throw new WalcastError('MESSAGE_BAD', { detail: 'hello without a node' })
  const cluster = host.cluster()
  if (hello.cluster !== '' && hello.cluster !== cluster)
    throw new WalcastError('WRONG_CLUSTER', { mine: hello.cluster, theirs: cluster })
  if (hello.epoch > host.epoch || hello.term > host.term()) {
    host.onHigherEpoch(hello)
    throw new WalcastError('STALE_LEADER', { mine: hello.epoch, theirs: host.epoch })
  }
  if (hello.node === host.node) throw new WalcastError('SELF_LEADER')
  if (hello.pageSize !== 0 && hello.pageSize !== host.pageSize) {
    throw new WalcastError('WRONG_PAGE_SIZE', { mine: hello.pageSize, theirs: host.pageSize })
  }
  const refused = host.refuse(hello)
  if (refused) throw refused
}

/**
 * The history entry that follows the replica's position, undefined when it must compare pages. The state tells, not the
 * epoch: one that has the state with which a new epoch began goes on in that.
 */
export function placeOf(hello: Body<'hello'>, host: HandshakeHost): number | undefined {
  const { history } = host
  if (hello.checksum === '') return undefined
  const { txid, checksum, isOpen } = host.position()
  const entry = history.find(hello.txid, hello.checksum)
  if (entry) return entry.sequence
  return hello.txid === txid && hello.checksum === checksum && !isOpen ? history.nextSequence : undefined
}

/** `sequence`: where the replica goes on; undefined when it must compare pages. */
export function welcomeFor(
  hello: Body<'hello'>,
  host: HandshakeHost,
  sequence: number | undefined,
): Body<'welcome'> {
  const { db, node, version, epoch, pageSize, heartbeatMs } = host
  const { txid, checksum, pages } = host.position()
  const source = host.source()
  return {
    db,
    node,
    cluster: host.cluster(),
    epoch,
    term: host.term(),
    txid,
    checksum,
    pageSize,
    pages,
    version,
    mode: sequence === undefined ? 'sync' : 'resume',
    reason: sequence === undefined ? whySync(hello) : '',
    contains: host.contains(hello),
    source: source.node,
    sourceAddress: source.address,
    heartbeatMs,
  }
}

function whySync({ pages, epoch, txid }: Body<'hello'>): string {
  return pages === 0 ? 'first copy' : `history does not reach back to ${epoch}-${txid}`
}
