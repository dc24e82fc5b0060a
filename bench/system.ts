/**
 * What a system must offer to be measured. walcast is the first; others (PostgreSQL, Litestream, Redis) come as
 * further adapters, whose programs write and read through their own clients and report the same way.
 */
import type { Processes } from './processes.ts'

/** A program of the bench, run as `node SCRIPT ARGS`, that keeps the contract of programs/program.ts. */
export interface Program {
  /** Path below dist/bench. */
  readonly script: string
  readonly args: readonly string[]
}

export type DatabaseKind = 'rows' | 'blobs' | 'pages'

export type Writing =
  /** Steady rate after a warm-up at another, ids from 1; logs [id, due, committed]. */
  | {
      readonly kind: 'paced'
      readonly warmupPerSecond: number
      readonly warmupCount: number
      readonly ratePerSecond: number
      readonly count: number
      readonly log: string
    }
  /** Small commits at full speed. */
  | { readonly kind: 'full'; readonly seconds: number; readonly autocheckpoint: number }
  /** Large commits, numbered from `firstId`; logs [number, begun, committed]. */
  | {
      readonly kind: 'large'
      readonly firstId: number
      readonly transactions: number
      readonly pages: number
      readonly autocheckpoint: number
      readonly log: string
    }

/** Logs [largest number seen, when] on one replica until it sees `until`. */
export interface Watching {
  readonly what: 'rows' | 'marker'
  readonly replica: number
  readonly until: number
  readonly maxSeconds: number
  readonly pauseMs: number
  readonly log: string
}

export interface Setup {
  readonly processes: Processes
  /** Root of the checkout. */
  readonly root: string
  readonly folder: string
  readonly replicas: number
  /** Further arguments for `node`, such as a profiler's, and for the nodes of the system. */
  readonly nodeArgs: readonly string[]
}

export interface RunningNode {
  readonly name: string
  readonly pid: number
}

export interface Position {
  readonly txid: number
  readonly checksum: string
}

export interface RunningSystem {
  readonly nodes: readonly RunningNode[]
  /** Begins replicas, for a set-up that was started without them. Resolves when they are ready. */
  addReplica(): Promise<void>
  writer(writing: Writing): Program
  reader(watching: Watching): Program
  /** Where the primary stands. */
  position(): Promise<Position>
  /** Resolves when primary and replicas all stand at the same place, at `txid` or beyond; rejects after `timeoutMs`. */
  whenLevel(txid: number, timeoutMs: number): Promise<void>
  /** The system's own figures (stages of its lag, counters), for the report. */
  figures(): Promise<Readonly<Record<string, number>>>
  /** Rejects unless every replica holds exactly what the primary holds. */
  verify(): Promise<void>
  stop(): Promise<void>
}

export interface System {
  readonly name: string
  /** Makes the primary's database file or content of `megabytes`, before anything is started. */
  prepare(setup: Setup, kind: DatabaseKind, megabytes: number): Promise<void>
  /** The program that writes to the system's storage with nothing replicating it. */
  writerAlone(setup: Setup, writing: Writing): Program
  start(setup: Setup): Promise<RunningSystem>
}
