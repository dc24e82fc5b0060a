/**
 * What the node kept aside. The audit log tells who removed a bundle, and who read rows of one:
 * they are users' data.
 *
 * A read holds a snapshot of the live database, and the WAL cannot be emptied meanwhile. So one
 * asker reads at a time, and the database has as long without a reader after each read as the read
 * took: whatever is asked, no reader is there half of the time.
 */
import type { Asker } from '../api/asker.ts'
import type { BundleDesk, BundleShelf, BundlesAnswer, RemovedBundle } from '../api/bundles.ts'
import { onlyDatabase } from '../api/databases.ts'
import { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { FairTurns } from '../platform/fairTurns.ts'
import { monotonicMs, setTimer } from '../platform/time.ts'
import type { PageAsked, SqlAsked } from '../replica/diverged/keptRead.ts'
import type { KeptPage, KeptSql } from '../replica/diverged/keptRow.ts'
import { type AuditParts, auditedDurably } from './auditedChange.ts'

const READS = { atOnce: 1, maxWaiting: 16, atOnceEach: 1, maxWaitingEach: 8 }
const MAX_TABLE_CHARS = 100

/** Calls `then` after that time. */
type Rest = (ms: number, then: () => void) => void

export class NodeBundles implements BundleDesk {
  readonly #parts: AuditParts
  readonly #noted: AuditParts
  readonly #turns = new FairTurns(READS)
  readonly #rest: Rest

  /** `noted`: where entries go that can be caused as often as somebody likes. */
  constructor(parts: AuditParts, noted: AuditParts, rest: Rest = restFor) {
    this.#rest = rest
    this.#parts = parts
    this.#noted = noted
  }

  get #shelf(): BundleShelf {
    return onlyDatabase(this.#parts.databases).bundles
  }

  list(): BundlesAnswer {
    return { node: this.#parts.nodeFile.record.node, bundles: this.#shelf.list() }
  }

  page(name: string, asked: PageAsked, asker: Asker, gone: AbortSignal): Promise<KeptPage> {
    const what = `rows of the bundle ${name}${ofTable(asked)}`
    return this.#read(what, asker, gone, () => this.#shelf.page(name, asked, gone))
  }

  sql(name: string, asked: SqlAsked, asker: Asker, gone: AbortSignal): Promise<KeptSql> {
    const { rows } = asked
    const which = rows.length > 0 ? `, ${rows.length} chosen rows` : ofTable(asked)
    const what = `SQL of the bundle ${name}${which}`
    return this.#read(what, asker, gone, () => this.#shelf.sql(name, asked, gone))
  }

  async remove(name: string, isDryRun: boolean, by: string): Promise<RemovedBundle> {
    const planned = this.#shelf.remove(name, true)
    if (isDryRun) return planned
    const { at, position, rows } = planned.bundle
    const had = rows
      ? `${rows.removed} rows that its leader lacked, ${rows.changed} that differed there`
      : 'its rows were not compared'
    const detail = `${name} of ${at}, at ${position}: ${had}`
    return auditedDurably(this.#parts, { action: 'drop-bundle', by, detail }, async () =>
      this.#shelf.remove(name, false),
    )
  }
  async #read<T>(
    detail: string,
    { reader, by }: Asker,
    gone: AbortSignal,
    read: () => Promise<T>,
  ): Promise<T> {
    const leave = await this.#turns.take(reader)
    const { maxWaiting: limit, maxWaitingEach: each } = READS
    if (!leave) throw new WalcastError('BUNDLES_BUSY', { limit, each })
    const beganMs = monotonicMs()
    try {
      if (gone.aborted) throw new WalcastError('CALLER_GONE', { wanted: 'rows of a bundle' })
      return await auditedDurably(this.#noted, { action: 'bundle-read', by, detail }, read)
    } finally {
      this.#rest(monotonicMs() - beganMs, leave)
    }
  }
}

/** The stop of the node does not wait for it. */
function restFor(ms: number, then: () => void): void {
  setTimer(then, ms).unref()
}

function ofTable({ table }: Pick<PageAsked, 'table'>): string {
  return table === null ? '' : `, table ${plainText(table, MAX_TABLE_CHARS)}`
}
