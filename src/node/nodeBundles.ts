/** What the node kept aside, with a word in the audit log for each bundle that is removed. */
import type { BundleDesk, BundleShelf, BundlesAnswer, RemovedBundle } from '../api/bundles.ts'
import { onlyDatabase } from '../api/databases.ts'
import type { KeptPage, KeptSql } from '../replica/diverged/keptRow.ts'
import { type AuditParts, auditedDurably } from './auditedChange.ts'

export class NodeBundles implements BundleDesk {
  readonly #parts: AuditParts

  constructor(parts: AuditParts) {
    this.#parts = parts
  }

  get #shelf(): BundleShelf {
    return onlyDatabase(this.#parts.databases).bundles
  }

  list(): BundlesAnswer {
    return { node: this.#parts.nodeFile.record.node, bundles: this.#shelf.list() }
  }

  page(...asked: Parameters<BundleDesk['page']>): Promise<KeptPage> {
    return this.#shelf.page(...asked)
  }

  sql(...asked: Parameters<BundleDesk['sql']>): Promise<KeptSql> {
    return this.#shelf.sql(...asked)
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
}
