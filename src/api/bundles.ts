/**
 * `/_walcast/diverged`: the bundles of rows that a node kept aside because its leader may lack
 * them. `GET` lists them. `GET .../rows` gives rows of one in pages, `POST .../sql` the SQL that
 * brings chosen rows back, and `DELETE` removes a bundle, which may be the last copy of its rows.
 */
import type { PageAsked, SqlAsked } from '../replica/diverged/keptRead.ts'
import type { KeptPage, KeptSql, KeptTable } from '../replica/diverged/keptRow.ts'
import type { Asker } from './asker.ts'
import type { DivergedStatus } from './databaseStatus.ts'

export const BUNDLES_PATH = '/_walcast/diverged'
export const BUNDLE_ROWS_PATH = `${BUNDLES_PATH}/rows`
export const BUNDLE_SQL_PATH = `${BUNDLES_PATH}/sql`

/** Rows of a page unless more or fewer are asked for. */
export const DEFAULT_PAGE_ROWS = 25
/** Tables that are named with their counts. */
export const MAX_BUNDLE_TABLES = 200

export interface BundleInfo extends DivergedStatus {
  /** Id of the node whose rows these are, and of the leader that lacked them. */
  readonly node: string
  readonly leader: string
  /** Size of all its files. */
  readonly bytes: number
  /** False when its list lacks some differences; see about.json. */
  readonly isComplete: boolean
  /** Rows that differ, by table; empty until they are compared. */
  readonly tables: readonly KeptTable[]
  readonly tablesLeftOut: number
  /** Its rows are being compared. */
  readonly isComparing: boolean
}

export interface BundlesAnswer {
  /** Id of the node that has the bundles. */
  readonly node: string
  /** The newest first. */
  readonly bundles: readonly BundleInfo[]
}

export interface RemovedBundle {
  /** What is lost with it, or would be. */
  readonly bundle: BundleInfo
  /** False for a dry run. */
  readonly isRemoved: boolean
}

/** The bundles of one database. Throws STARTING, BUNDLE_GONE or BUNDLE_BUSY. */
export interface BundleShelf {
  /** The newest first. */
  list(): BundleInfo[]
  /** `gone`: aborted when who asked has left. */
  page(name: string, asked: PageAsked, gone: AbortSignal): Promise<KeptPage>
  sql(name: string, asked: SqlAsked, gone: AbortSignal): Promise<KeptSql>
  /** A dry run changes nothing, and throws what the removal would. */
  remove(name: string, isDryRun: boolean): RemovedBundle
}

/** The same of the node, for its HTTP side. Rows are users' data: the audit log tells who reads. */
export interface BundleDesk {
  list(): BundlesAnswer
  /** Throws BUNDLES_BUSY. */
  page(name: string, asked: PageAsked, asker: Asker, gone: AbortSignal): Promise<KeptPage>
  /** Throws BUNDLES_BUSY. */
  sql(name: string, asked: SqlAsked, asker: Asker, gone: AbortSignal): Promise<KeptSql>
  remove(name: string, isDryRun: boolean, by: string): Promise<RemovedBundle>
}
