/** One process of a node, from its start to its end. */

import type { NodeFile } from '../../src/cluster/nodeFile.ts'
import { Leader } from '../../src/leader/leader.ts'
import { Replica } from '../../src/replica/replica.ts'
import type { Downstream } from '../../src/replica/replicaOptions.ts'
import type { HeldDatabase } from '../../src/sqlite/heldDatabase.ts'
import type { SqliteThread } from '../../src/sqlite/sqliteThread.ts'
import type { MemorySocket } from './memorySocket.ts'
import type { Host, Network } from './network.ts'
import { leaderOptions, type NodeSite, replicaOptions } from './nodeOptions.ts'
import type { SimulatedNode } from './simulatedNode.ts'

const NO_DOWNSTREAM: Downstream = {
  onBatch() {},
  onHeartbeat() {},
  onDisconnected() {},
  onTwin() {},
  onUnsettled() {},
}

export class NodeProcess implements Host {
  readonly node: SimulatedNode
  readonly address: string
  readonly instance: string
  readonly upSinceMs: number
  readonly #site: NodeSite
  isAlive = true
  /** Writes to files that it may still make before it dies. */
  writesLeft = Number.POSITIVE_INFINITY
  leader: Leader | undefined
  replica: Replica | undefined
  /** Undefined until they are open. */
  opened: { readonly nodeFile: NodeFile; readonly thread: SqliteThread } | undefined
  /** A change of its role is under way. */
  isChanging = false

  constructor(node: SimulatedNode, instance: string, site: NodeSite) {
    this.node = node
    this.address = node.address
    this.instance = instance
    this.upSinceMs = site.scheduler.elapsedMs
    this.#site = site
  }

  /** Of a process that is up. */
  get nodeFile(): NodeFile {
    return this.#parts.nodeFile
  }

  /** In the role of its role file. */
  async open(nodeFile: NodeFile, thread: SqliteThread): Promise<void> {
    this.opened = { nodeFile, thread }
    if (nodeFile.record.role === 'leader') {
      this.#leads(await Leader.open(leaderOptions(this, this.#site), thread))
    } else this.#follows(await Replica.open(replicaOptions(this, this.#site), thread))
  }

  /** With a database that was given up, fenced: others may write once this has resolved. */
  async lead(held: HeldDatabase): Promise<void> {
    const options = leaderOptions(this, this.#site)
    const leader = await Leader.takeOver(options, this.#parts.thread, held)
    this.replica = undefined
    await leader.admitWriters()
    this.#leads(leader)
  }

  /** With a database that was given up. */
  async follow(held: HeldDatabase): Promise<void> {
    this.#network.close(this)
    this.leader = undefined
    const options = replicaOptions(this, this.#site)
    this.#follows(await Replica.takeOver(options, this.#parts.thread, held))
  }

  /** It feeds no other replica. */
  #follows(replica: Replica): void {
    this.replica = replica
    replica.start(NO_DOWNSTREAM)
  }

  #leads(leader: Leader): void {
    this.leader = leader
    this.#network.listen(this, (socket: MemorySocket, remoteAddress) =>
      leader.accept(socket.asWebSocket, remoteAddress),
    )
    if (this.isAlive) this.#site.onLeads(this.node)
  }

  get #network(): Network {
    return this.#site.network
  }

  get #parts() {
    if (!this.opened) throw new Error(`${this.address} is not up`)
    return this.opened
  }
}
