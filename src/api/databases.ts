/**
 * The databases of a node by name, as its HTTP sides see them. Every node holds one today. What
 * serves a request takes it from the map here, so that only this file says that there is one.
 */

import type { BundleShelf } from './bundles.ts'
import type { NodeChecks } from './checks.ts'
import type { DatabaseView } from './databaseView.ts'
import type { PositionWaits } from './positionWaits.ts'

export interface ServedDatabase {
  /** The name in messages, positions and answers: the same on every node of the cluster. */
  readonly name: string
  readonly view: DatabaseView
  readonly waits: PositionWaits
  /** Undefined while the node starts. */
  readonly checks: NodeChecks | undefined
  /** What the node kept aside of it. */
  readonly bundles: BundleShelf
}

/** By name. */
export type Databases = ReadonlyMap<string, ServedDatabase>

/** The database that a request without a name is about. */
export function onlyDatabase<Database>(databases: ReadonlyMap<string, Database>): Database {
  const [only, ...others] = databases.values()
  if (only === undefined || others.length > 0)
    throw new Error(`the node holds ${databases.size} databases, and the request names none`)
  return only
}
