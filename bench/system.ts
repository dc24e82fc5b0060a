/**
 * What a system must offer to be measured. walcast is one; the others (PostgreSQL, Redis,
 * Litestream, ...) are peers, compared with it in the suites that take --peers. Writers and readers
 * are programs of the bench that reach the system through one of `clients/`.
 */
import type { ClientName } from './clients/clients.ts'
import type { Processes } from './processes.ts'

/**
 * A program of the bench, run as `node SCRIPT ARGS`, that keeps the contract of
 * programs/program.ts.
 */
export interface Program {
  /** Path below dist/bench. */
  readonly script: string
  readonly args: readonly string[]
}

/** Where a writer or a reader finds the system: a file or an address, as the client takes it. */
export interface Place {
  readonly client: ClientName
  readonly where: string
}

/**
 * rows: an empty table; blobs: filled with 64 KB values; pages: also a table whose rows fill a page
 * each; lookup: also a table of rows of 100 bytes.
 */
export type DatabaseKind = 'rows' | 'blobs' | 'pages' | 'lookup'

/**
 * Size of a database of the kind `pages` for commits of so many: they touch another part of it each
 * time.
 */
export function megabytesFor(pages: number): number {
  return Math.max(8, (4 * pages * 4096) / 1e6)
}

export interface Setup {
  readonly processes: Processes
  /** Root of the checkout. */
  readonly root: string
  readonly folder: string
  readonly replicas: number
  /** Further arguments for `node`, such as a profiler's, for systems that run on it. */
  readonly nodeArgs: readonly string[]
}

export interface RunningNode {
  readonly name: string
  readonly pid: number
}

/** A system, or its storage alone with nothing replicating it. */
export interface RunningPrimary {
  readonly nodes: readonly RunningNode[]
  readonly primary: Place
  stop(): Promise<void>
}

export interface RunningSystem extends RunningPrimary {
  /** One for each replica: where a reader looks. */
  readonly replicas: readonly Place[]
  /**
   * Resolves when every replica has commit number `id` (counted from 1); rejects after `timeoutMs`.
   */
  whenLevel(id: number, timeoutMs: number): Promise<void>
  /** Resolves when nothing more follows from the commits so far. */
  whenSettled?(): Promise<void>
  /** The system's own figures (stages of its lag, counters), for the report. */
  figures(): Promise<Readonly<Record<string, number>>>
  /** Rejects unless every replica holds exactly what the primary holds. */
  verify(): Promise<void>
}

export interface System {
  readonly name: string
  /** Whether commits of many pages can be measured: the client opens a SQLite file. */
  readonly hasPages: boolean
  /** For one that acts by a timer: its period. A measurement begins anywhere in it. */
  readonly periodMs?: number
  /** Finds or installs what the system needs. Throws NotAvailable. */
  install(progress: (text: string) => void): Promise<void>
  /**
   * Makes the primary's database file of `megabytes` and starts nothing. Servers make theirs when
   * they start.
   */
  prepare(setup: Setup, kind: DatabaseKind, megabytes: number): Promise<void>
  /** Storage with nothing replicating it. */
  startAlone(setup: Setup): Promise<RunningPrimary>
  start(setup: Setup): Promise<RunningSystem>
}
