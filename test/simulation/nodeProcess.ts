/**
 * One process of a node, from its start to its end: the roles and engines are the real ones, put
 * together as `src/node` does.
 */
import { ArchivedWaits } from '../../src/backup/archivedWaits.ts'
import { Instance } from '../../src/cluster/instance.ts'
import { Members } from '../../src/cluster/members.ts'
import type { NodeFile } from '../../src/cluster/nodeFile.ts'
import { PeerCalls } from '../../src/cluster/peerCalls.ts'
import { PeersFile, readPeers } from '../../src/cluster/peersFile.ts'
import { emptyTrust } from '../../src/cluster/trustRecord.ts'
import { Database, DEFAULT_DATABASE } from '../../src/database/database.ts'
import type { Engine } from '../../src/database/engine.ts'
import type { LeaderEngine } from '../../src/database/leaderEngine.ts'
import type { ReplicaEngine } from '../../src/database/replicaEngine.ts'
import { asWalcastError, WalcastError } from '../../src/errors.ts'
import type { Leader } from '../../src/leader/leader.ts'
import type { ClusterTrust } from '../../src/node/clusterTrust.ts'
import type { AuditLog } from '../../src/notify/auditLog.ts'
import type { RoleHooks } from '../../src/notify/roleHooks.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { errorBody } from '../../src/proxy/answer.ts'
import type { Traffic } from '../../src/proxy/traffic.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { LeaseValidity } from '../../src/roles/election/leaseValidity.ts'
import { Standstill } from '../../src/roles/election/standstill.ts'
import { RoleInbox } from '../../src/roles/roleInbox.ts'
import { RoleJournal } from '../../src/roles/roleJournal.ts'
import type { RoleRequests } from '../../src/roles/roleRequests.ts'
import { Roles } from '../../src/roles/roles.ts'
import { Claims } from '../../src/security/claims.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import type { SqliteThread } from '../../src/sqlite/sqliteThread.ts'
import { dialerWith } from '../support/peers.ts'
import type { Host } from './network.ts'
import { metricsOf, type NodeSite, setupOf, trafficOf } from './nodeOptions.ts'
import { PrivateSide } from './privateSide.ts'
import type { SimulatedNode } from './simulatedNode.ts'

/** What a process has once its role file is open. */
interface Parts {
  readonly nodeFile: NodeFile
  readonly thread: SqliteThread
  readonly members: Members
  readonly database: Database
  readonly peersFile: PeersFile
  readonly roles: Roles
  readonly side: PrivateSide
  readonly traffic: Traffic
}

/** Nobody reads the audit log, and no hook is told. */
const NO_AUDIT = { append: async () => {} } as unknown as AuditLog
const NO_HOOKS = { notify() {} } as unknown as RoleHooks
/** A cluster without a secret has no trust record. */
const NO_TRUST = { digest: '', onDigest() {} } as unknown as ClusterTrust

export class NodeProcess implements Host {
  readonly node: SimulatedNode
  readonly address: string
  readonly #site: NodeSite
  isAlive = true
  readonly clockRate: number
  /** By the simulation's time: until then it stands still. */
  frozenUntilMs = 0
  /** Writes to files that it may still make before it dies. */
  writesLeft = Number.POSITIVE_INFINITY
  #opened: Parts | undefined
  /** It has come up in its first role. */
  isUp = false

  constructor(node: SimulatedNode, site: NodeSite) {
    this.node = node
    this.address = node.address
    this.#site = site
    this.clockRate = node.clockRate
  }

  /** Undefined until it is open. */
  get nodeFileIfOpen(): NodeFile | undefined {
    return this.#opened?.nodeFile
  }

  get nodeFile(): NodeFile {
    return this.#parts.nodeFile
  }

  /** While it has that role, or is on its way out of it. */
  get leader(): Leader | undefined {
    const engine = this.#opened?.database.engine
    return engine && isLeading(engine) ? engine.leader : undefined
  }

  get replica(): Replica | undefined {
    const engine = this.#opened?.database.engine
    return engine && isFollowing(engine) ? engine.replica : undefined
  }

  /** Whether a client's write is let in at this moment. */
  get takesWrites(): boolean {
    const { scheduler } = this.#site
    if (!this.isUp || !this.isAlive || this.frozenUntilMs > scheduler.elapsedMs) return false
    const { admission } = this.#parts.traffic
    return scheduler.as(this, () => this.nodeFile.record.role === 'leader' && !admission.refuse())
  }

  /** What an operator at this node may have done. */
  get requests(): RoleRequests {
    return this.#parts.roles.requests
  }

  /** Comes up in the role of its role file, unless another node leads by now. */
  async open(nodeFile: NodeFile, thread: SqliteThread): Promise<void> {
    const parts = this.#build(nodeFile, thread)
    this.#opened = parts
    await parts.roles.start()
    this.isUp = true
  }

  async stop(): Promise<void> {
    if (!this.#opened) return
    const { roles, side, members, peersFile, nodeFile } = this.#opened
    side.isStopping = true
    roles.announceStop()
    await roles.stop()
    this.#site.network.close(this)
    await Promise.all([members.stop(), peersFile.stop()])
    await nodeFile.stop()
  }

  #build(nodeFile: NodeFile, thread: SqliteThread): Parts {
    const site = this.#site
    const { node } = this
    const setup = setupOf(this, site)
    const { log, options, clock = systemClock } = setup
    const { ops } = site
    const { folder: stateFolder } = node
    const metrics = metricsOf(this, site)
    const trust = { record: emptyTrust('') }
    const claims = new Claims(() => ({ epoch: nodeFile.record.epoch, txid: 0 }))
    const members: Members = new Members(nodeFile, log, trust, options.peers, claims, (change) =>
      database.engine?.tellMember(change),
    )
    const database: Database = new Database({
      ...{ name: DEFAULT_DATABASE, path: node.path, stateFolder, nodeFile, clock },
      maxWaits: options.maxWaits,
      peers: readPeers(stateFolder, log),
      onMet: (met, address) => members.learn(met, address),
    })
    const databases = new Map([[database.name, database]])
    const peersFile = new PeersFile(stateFolder, ops, log, database.replicas)
    const standstill = new Standstill(options.frozenMs, clock)
    const { lockService } = site
    const validity = lockService && new LeaseValidity(options.ttlMs)
    const inbox = new RoleInbox(standstill, validity)
    const traffic = trafficOf(this, site, () => inbox.checkAlive())
    const instance = new Instance(() => clock.nowMs())
    const { view } = database
    const secrets = new ClusterSecrets([])
    const dialer = dialerWith(secrets)
    const calls = new PeerCalls({
      ...{ secrets, dialer, request: site.requests.request },
      node: () => nodeFile.record.node,
      epoch: () => nodeFile.record.epoch,
      nowMs: () => clock.nowMs(),
    })
    const links = { secrets, dialer, calls, claims, trust: NO_TRUST }
    const ground = {
      ...{ setup, clock, ops, nodeFile, members, thread, instance, metrics, traffic },
      ...links,
    }
    const about = { audit: NO_AUDIT, hooks: NO_HOOKS, log, view }
    const roles = new Roles({
      ...ground,
      ...{ databases, peersFile, standstill, inbox },
      pause: { now: undefined },
      validity,
      openLease: lockService && ((asked) => lockService.open(asked)),
      archived: new ArchivedWaits(options.maxWaits),
      journal: new RoleJournal({ ...ground, ...about }),
      onMoved() {},
      onFatal: (error) => {
        if (this.isAlive) site.onFatal(node, error)
      },
    })
    const side = new PrivateSide(
      {
        ...{ metrics, databases, traffic, instance, trust: NO_TRUST },
        record: () => nodeFile.record,
        nowMs: () => clock.nowMs(),
      },
      () => (roles.hasStarted ? roles.requests : undefined),
      (error) => {
        if (this.isAlive) site.onFatal(node, asWalcastError(error))
      },
    )
    site.network.listen({
      host: this,
      refuse: () => {
        const error = side.isStopping ? new WalcastError('STOPPING') : view.refuseReplicas()
        const answer = error && { ...errorBody(error), timeMs: clock.nowMs() }
        return error && { status: error.status, text: JSON.stringify(answer) }
      },
      accept: (socket, remoteAddress) => view.accept(socket.asWebSocket, remoteAddress),
      answer: (...asked) => side.answer(...asked),
    })
    return { nodeFile, thread, members, database, peersFile, roles, side, traffic }
  }

  get #parts(): Parts {
    if (!this.#opened) throw new WalcastError('STARTING')
    return this.#opened
  }
}

function isLeading(engine: Engine): engine is LeaderEngine {
  return engine.view.role() === 'leader'
}

function isFollowing(engine: Engine): engine is ReplicaEngine {
  return engine.view.role() !== 'leader'
}
