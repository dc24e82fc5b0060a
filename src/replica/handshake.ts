/**
 * How a connection to the leader begins. The replica says where it stands, the leader tells how its
 * incarnations began, and then welcomes the replica. What the welcome tells of the leader stays
 * known until the next welcome.
 */
import { durationOf } from '../../proto/fields.ts'
import { historyOf, type Lineage, NOWHERE, withIncarnation } from '../../proto/lineage.ts'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import type { Copy } from './copy/copy.ts'
import type { ReplicaOptions } from './replicaOptions.ts'

export interface MetLeader {
  /** The node that feeds this one. */
  readonly node: string
  /** The leader itself, however many replicas lie between; '' before the first welcome. */
  readonly source: string
  readonly sourceAddress: string
  /**
   * The incarnation in which it leads. '' when a relay feeds this node: a relay may not know the
   * newest.
   */
  readonly incarnation: string
  readonly pages: number
  readonly pageSize: number
}

type HandshakeOptions = Pick<ReplicaOptions, 'db' | 'identity' | 'version' | 'advertise'>

export class Handshake {
  readonly #options: HandshakeOptions
  #leader: MetLeader = {
    node: '',
    source: '',
    sourceAddress: '',
    incarnation: '',
    pages: 0,
    pageSize: 0,
  }
  /** Incarnations that the leader announced on this connection. */
  #told: Lineage = []
  #welcomedMs: number | undefined
  /** The page sizes of leader and copy differ, so their pages cannot be compared. */
  #isOtherPageSize = false

  constructor(options: HandshakeOptions) {
    this.#options = options
  }

  get leader(): MetLeader {
    return this.#leader
  }

  /** Time of the last welcome; undefined before the first. */
  get welcomedMs(): number | undefined {
    return this.#welcomedMs
  }

  /**
   * A connection begins. `isBelievable`: the state checksum in memory is that of the copy.
   */
  hello(copy: Copy | undefined, isBelievable: boolean, lagMs: number): Body<'hello'> {
    this.#told = []
    const { db, identity, version, advertise } = this.#options
    const applier = copy?.applier
    const position = applier?.position ?? NOWHERE
    const { epoch, txid } = position
    return {
      db,
      node: identity.node,
      cluster: identity.cluster(),
      instance: identity.instance,
      upMs: durationOf(identity.upMs()),
      epoch,
      txid,
      history: historyOf(position, identity.lineage()),
      highestEpoch: Math.max(epoch, identity.epoch()),
      term: identity.term(),
      leader: identity.lastLeader(),
      checksum: applier && isBelievable && !this.#isOtherPageSize ? applier.checksum : '',
      pageSize: (!this.#isOtherPageSize && copy?.pageSize) || 0,
      pages: applier?.pages ?? 0,
      version,
      advertise,
      lagMs,
    }
  }

  onIncarnation({ db: _db, ...begun }: Body<'incarnation'>): void {
    this.#told = withIncarnation(this.#told, begun)
  }

  /**
   * Checks the welcome and makes its epoch durable before the replica accepts anything of it: this
   * node must never lead in that epoch itself. `address` is that of the connection. Throws what
   * `requireFitting` throws.
   */
  async adopt(welcome: Body<'welcome'>, copy: Copy | undefined, address: string): Promise<void> {
    const { identity } = this.#options
    requireFitting(welcome, {
      node: identity.node,
      instance: identity.instance,
      cluster: identity.cluster(),
      epoch: Math.max(identity.epoch(), copy?.applier.position.epoch ?? 0),
      pageSize: this.#isOtherPageSize ? undefined : copy?.pageSize,
    })
    await identity.adopt(welcome, this.#told, address)
  }

  /** The next hello asks for a whole new copy. */
  onOtherPageSize(): void {
    this.#isOtherPageSize = true
  }

  /** The copy has the leader's page size. */
  onSynced(): void {
    this.#isOtherPageSize = false
  }

  /** Returns whether the leader, or its address, has changed. */
  onWelcome(welcome: Body<'welcome'>, nowMs: number): boolean {
    const { node, source, sourceAddress, pages, pageSize } = welcome
    const before = this.#leader
    const incarnation = source === node ? welcome.incarnation : ''
    this.#leader = { node, source, sourceAddress, incarnation, pages, pageSize }
    this.#welcomedMs = nowMs
    return before.source !== source || before.sourceAddress !== sourceAddress
  }

  /** The leader's database has this many pages now. */
  onResync(pages: number): void {
    this.#leader = { ...this.#leader, pages }
  }
}

export interface Follower {
  readonly node: string
  /** Random id of this node's process. */
  readonly instance: string
  /** '' before the first copy. */
  readonly cluster: string
  /** The highest epoch in which it has followed or led. */
  readonly epoch: number
  /** Page size of the copy; undefined before the first copy. */
  readonly pageSize: number | undefined
}

/**
 * Throws WRONG_CLUSTER, SELF_LEADER, NODE_ID_TAKEN, WRONG_PAGE_SIZE or STALE_LEADER.
 */
export function requireFitting(welcome: Body<'welcome'>, follower: Follower): void {
  const { node, instance, cluster, epoch, pageSize } = follower
  if (cluster !== '' && cluster !== welcome.cluster)
    throw new WalcastError('WRONG_CLUSTER', { mine: cluster, theirs: welcome.cluster })
  if (welcome.node === node && welcome.instance === instance) throw new WalcastError('SELF_LEADER')
  if (welcome.node === node)
    throw new WalcastError('NODE_ID_TAKEN', { node, address: 'the node that it follows' })
  if (pageSize !== undefined && pageSize !== welcome.pageSize)
    throw new WalcastError('WRONG_PAGE_SIZE', { mine: pageSize, theirs: welcome.pageSize })
  if (welcome.epoch < epoch)
    throw new WalcastError('STALE_LEADER', { mine: epoch, theirs: welcome.epoch })
}
