/**
 * How a leader and a replica that says hello come to a place in history from which the replica goes
 * on.
 */
import { encode } from '../../proto/codec.ts'
import {
  type Containment,
  type HistoryPoint,
  type Lineage,
  parseTrail,
} from '../../proto/lineage.ts'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import type { Claims } from '../security/claims.ts'
import type { BatchHistory } from './batchHistory.ts'
import type { SeenHistory } from './seenHistory.ts'

/** A state that another node says it has. */
export interface ClaimedState {
  readonly point: HistoryPoint
  /** '' when the node does not trust its own. */
  readonly checksum: string
}

export interface HandshakeHost {
  readonly db: string
  readonly node: string
  /** Random id of this process. */
  readonly instance: string
  readonly version: string
  readonly epoch: number
  readonly pageSize: number
  readonly heartbeatMs: number
  /** Judges the numbers that replicas tell. */
  readonly claims: Claims
  readonly history: Pick<BatchHistory, 'find' | 'nextSequence'>
  cluster(): string
  /** Permission bits of the leader's database file. */
  fileMode(): number
  /** The node where commits are made, and where it is reached. */
  source(): { readonly node: string; readonly address: string }
  position(): {
    readonly epoch: number
    readonly incarnation: string
    readonly txid: number
    readonly checksum: string
    readonly pages: number
    readonly isOpen: boolean
  }
  /** Whether this node's database came from that state, so that nothing of it is missing here. */
  containment(state: ClaimedState): Containment
  /** The last epoch that began with a promotion. */
  term(): number
  /** Incarnations of which it is known how they began. */
  lineage(): Lineage
  /** The other nodes of the cluster, as far as they are known. */
  members(): readonly { readonly node: string; readonly address: string }[]
  /** A replica has been in a higher epoch than this node: another node leads, or has led since. */
  onHigherEpoch(
    hello: Pick<Body<'hello'>, 'node' | 'term' | 'advertise'> & { readonly epoch: number },
  ): void
  /**
   * A node has what is not part of this history; `leader` led in the highest epoch that it knows.
   * True when this node leads, and has to begin an epoch above that first.
   */
  onUnknownHistory(seen: SeenHistory, leader: string): boolean
  /**
   * Where a connected replica is that has this id and is another process; undefined when there is
   * none, it came later, or it has fallen silent.
   */
  holderOf(hello: Pick<Body<'hello'>, 'node' | 'instance' | 'upMs'>): string | undefined
  /** Why a replica at this position cannot be fed now. */
  refuse(position: { readonly epoch: number; readonly txid: number }): WalcastError | undefined
}

/** What a replica says of its state. */
function claimOf({
  history,
  txid,
  checksum,
}: Pick<Body<'hello'>, 'history' | 'txid' | 'checksum'>): ClaimedState {
  const [point = { incarnation: '', txid }] = parseTrail(history) ?? []
  return { point, checksum }
}

/** The history that a node says it has seen. */
export function seenOf({
  node,
  epoch,
  txid,
  history,
  highestEpoch,
  term,
}: Omit<Body<'seen'>, 'db'>): SeenHistory {
  return { node, epoch, txid, trail: parseTrail(history) ?? [], highestEpoch, term }
}

/**
 * Throws why the replica that says this cannot be fed: WRONG_CLUSTER, SELF_LEADER, NODE_ID_TAKEN,
 * STARTING, STALE_LEADER, WRONG_PAGE_SIZE or what the host says.
 */
export function requireFeedable(hello: Body<'hello'>, host: HandshakeHost): void {
  if (hello.node === '') throw new WalcastError('MESSAGE_BAD', { detail: 'hello without a node' })
  const cluster = host.cluster()
  if (hello.cluster !== '' && hello.cluster !== cluster)
    throw new WalcastError('WRONG_CLUSTER', { mine: hello.cluster, theirs: cluster })
  if (hello.node === host.node) {
    if (hello.instance === host.instance) throw new WalcastError('SELF_LEADER')
    throw new WalcastError('NODE_ID_TAKEN', { node: host.node, address: host.source().address })
  }
  if (isUnknown(hello, host) && host.onUnknownHistory(seenOf(hello), hello.leader))
    throw new WalcastError('STARTING')
  if (hello.highestEpoch > host.epoch || hello.term > host.term()) {
    host.onHigherEpoch({ ...hello, epoch: hello.highestEpoch })
    throw new WalcastError('STALE_LEADER', { mine: hello.highestEpoch, theirs: host.epoch })
  }
  if (hello.pageSize !== 0 && hello.pageSize !== host.pageSize) {
    throw new WalcastError('WRONG_PAGE_SIZE', { mine: hello.pageSize, theirs: host.pageSize })
  }
  const holder = host.holderOf(hello)
  if (holder !== undefined)
    throw new WalcastError('NODE_ID_TAKEN', { node: hello.node, address: holder })
  const refused = host.refuse(hello)
  if (refused) throw refused
}

/**
 * Judges by the history alone: numbers above those of this node are above them whatever the content
 * is.
 */
function isUnknown(hello: Body<'hello'>, host: HandshakeHost): boolean {
  return (
    hello.highestEpoch > host.epoch ||
    (hello.pages > 0 && host.containment({ ...claimOf(hello), checksum: '' }) === 'unknown')
  )
}

/**
 * The history entry that follows the replica's position, undefined when it must compare pages. The
 * state tells, not the epoch: a replica that has the state with which a new epoch began goes on in
 * that epoch.
 */
export function placeOf(hello: Body<'hello'>, host: HandshakeHost): number | undefined {
  const { history } = host
  if (hello.checksum === '') return undefined
  const { txid, checksum, isOpen } = host.position()
  const entry = history.find(hello.txid, hello.checksum)
  if (entry) return entry.sequence
  return hello.txid === txid && hello.checksum === checksum && !isOpen
    ? history.nextSequence
    : undefined
}

/**
 * What a replica hears first, in order. The incarnations come before the welcome: the replica keeps
 * them together with the epoch that the welcome names. `sequence` is where it goes on in history,
 * undefined when it must compare pages.
 */
export function* greetings(
  hello: Body<'hello'>,
  host: HandshakeHost,
  sequence: number | undefined,
): Generator<Buffer> {
  const { db } = host
  for (const begun of host.lineage()) yield encode('incarnation', { db, ...begun })
  yield encode('welcome', welcomeFor(hello, host, sequence))
  for (const member of host.members())
    if (member.node !== hello.node) yield encode('member', { db, ...member, gone: false })
}

function welcomeFor(
  hello: Body<'hello'>,
  host: HandshakeHost,
  sequence: number | undefined,
): Body<'welcome'> {
  const { db, node, instance, version, epoch, pageSize, heartbeatMs } = host
  const { txid, incarnation, checksum, pages } = host.position()
  const source = host.source()
  // A replica that resumes has a state of this node's own.
  const isOwnState = sequence !== undefined
  return {
    db,
    node,
    cluster: host.cluster(),
    instance,
    epoch,
    incarnation,
    term: host.term(),
    txid,
    checksum,
    pageSize,
    pages,
    version,
    mode: isOwnState ? 'resume' : 'sync',
    reason: isOwnState ? '' : whySync(hello),
    contains: isOwnState || hello.pages === 0 ? 'proven' : host.containment(claimOf(hello)),
    source: source.node,
    sourceAddress: source.address,
    fileMode: host.fileMode(),
    heartbeatMs,
  }
}

function whySync({ pages, epoch, txid }: Body<'hello'>): string {
  return pages === 0 ? 'first copy' : `history does not reach back to ${epoch}-${txid}`
}
