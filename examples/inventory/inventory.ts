/**
 * What the application keeps in its database. It is ordinary SQL on an ordinary handle: nothing
 * here knows of replication.
 */
import type Database from 'better-sqlite3'
import { Collection } from './collection.ts'

export interface Machine {
  readonly id: number
  readonly name: string
  readonly notes: string
}

export interface Network {
  readonly id: number
  readonly name: string
  readonly cidr: string
}

/** The address of a machine in a network. */
export interface Endpoint {
  readonly id: number
  readonly machineId: number
  readonly networkId: number
  readonly address: string
  readonly state: 'fresh' | 'stale'
  /** ISO 8601, UTC. */
  readonly seenAt: string
}

/** An endpoint with the names that people know. */
export interface NamedEndpoint extends Endpoint {
  readonly machine: string
  readonly network: string
}

/** What servers did by themselves: migrations and jobs. */
export interface JournalEntry {
  readonly id: number
  readonly at: string
  readonly node: string
  readonly what: string
}

const JOURNAL_SHOWN = 8

export class Inventory {
  readonly #database: () => Database.Database
  readonly machines: Collection<Machine>
  readonly networks: Collection<Network>
  readonly endpoints: Collection<Endpoint>

  constructor(database: () => Database.Database) {
    this.#database = database
    this.machines = new Collection(database, 'machine', ['name', 'notes'])
    this.networks = new Collection(database, 'network', ['name', 'cidr'])
    this.endpoints = new Collection(database, 'endpoint', ['machineId', 'networkId', 'address'])
  }

  /** The handle itself, for migrations. */
  get database(): Database.Database {
    return this.#database()
  }

  namedEndpoints(): NamedEndpoint[] {
    return this.database
      .prepare<[], NamedEndpoint>(
        `SELECT endpoint.*, machine.name AS machine, network.name AS network
         FROM endpoint JOIN machine ON machine.id = machineId JOIN network ON network.id = networkId
         ORDER BY machine.name, network.name, address`,
      )
      .all()
  }

  journal(): JournalEntry[] {
    return this.database
      .prepare<[number], JournalEntry>('SELECT * FROM journal ORDER BY id DESC LIMIT ?')
      .all(JOURNAL_SHOWN)
  }

  /** Notes that the endpoint was seen. Undefined when there is none. */
  see(id: number): Endpoint | undefined {
    return this.database
      .prepare<[string, number], Endpoint>(
        "UPDATE endpoint SET seenAt = ?, state = 'fresh' WHERE id = ? RETURNING *",
      )
      .get(new Date().toISOString(), id)
  }

  /**
   * Marks endpoints not seen since `limit` and records who did so, in one transaction. Returns how
   * many.
   */
  markStale(limit: Date, node: string): number {
    const mark = this.database.prepare(
      "UPDATE endpoint SET state = 'stale' WHERE state = 'fresh' AND seenAt < ?",
    )
    const work = this.database.transaction(() => {
      const { changes } = mark.run(limit.toISOString())
      if (changes > 0)
        this.note(node, `marked ${changes} ${changes === 1 ? 'endpoint' : 'endpoints'} stale`)
      return changes
    })
    return work.immediate()
  }

  note(node: string, what: string): void {
    this.database
      .prepare('INSERT INTO journal (at, node, what) VALUES (?, ?, ?)')
      .run(new Date().toISOString(), node, what)
  }
}
