/**
 * One database of a node under its name: where it lies, what it answers, who waits for it and whom
 * it feeds, whatever role the node has. The node holds a map of these. Each role puts its engine
 * behind the view, which outlives them all.
 */

import type { ServedDatabase } from '../api/databases.ts'
import { PositionWaits } from '../api/positionWaits.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { ReplicaList } from '../feed/replicaList.ts'
import type { Peer } from '../feed/replicaStatus.ts'
import type { Clock } from '../platform/clock.ts'
import { DatabaseBundles } from './bundleShelf.ts'
import { DelegatingView } from './delegatingView.ts'
import type { Engine } from './engine.ts'

/**
 * The name unless another is given, as SQLite calls the first database of a connection. A copy has
 * the name that its leader's database has, so it cannot come from the path of the file.
 */
export const DEFAULT_DATABASE = 'main'

export interface DatabaseParts {
  readonly name: string
  /** Of the database file. */
  readonly path: string
  /** `FILE-walcast`. */
  readonly stateFolder: string
  readonly nodeFile: NodeFile
  readonly clock: Clock
  /** Requests that may wait for a position. */
  readonly maxWaits: number
  /** The replicas remembered from an earlier run. */
  readonly peers: readonly Peer[]
  /** A replica connected, here or to a relay; `address` is '' when it has not told one. */
  readonly onMet: (node: string, address: string) => void
}

export class Database implements ServedDatabase {
  readonly name: string
  readonly path: string
  readonly stateFolder: string
  readonly view: DelegatingView
  readonly waits: PositionWaits
  readonly bundles: DatabaseBundles
  /** The replicas that this node feeds, whatever its role. */
  readonly replicas: ReplicaList

  constructor(parts: DatabaseParts) {
    const { name, path, stateFolder, nodeFile, clock, maxWaits, peers, onMet } = parts
    this.name = name
    this.path = path
    this.stateFolder = stateFolder
    this.view = new DelegatingView(nodeFile, clock, path)
    this.bundles = new DatabaseBundles({ path, bundles: () => this.engine?.bundles })
    this.waits = new PositionWaits(maxWaits, (target) => this.view.reach(target))
    this.replicas = new ReplicaList(clock, nodeFile.record.node, peers, onMet)
  }

  /** Of the present role; undefined while the node starts. */
  get engine(): Engine | undefined {
    return this.view.engine
  }

  get checks(): Engine['checks'] | undefined {
    return this.engine?.checks
  }
}
