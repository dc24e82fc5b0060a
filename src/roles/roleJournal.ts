/**
 * Tells of what is asked of a node's role and of what became of it: the audit log, the operator's
 * hooks, the log.
 */
import type { Logger } from 'pino'
import type { AuditEntry } from '../api/audit.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { NodeRecord } from '../cluster/nodeRecord.ts'
import { asWalcastError, messageOf } from '../errors.ts'
import type { Metrics } from '../health/metrics.ts'
import type { AuditLog } from '../notify/auditLog.ts'
import type { RoleHooks } from '../notify/roleHooks.ts'
import type { Clock } from '../platform/clock.ts'

export interface RoleJournalParts {
  readonly audit: AuditLog
  readonly hooks: RoleHooks
  readonly clock: Clock
  readonly log: Logger
  readonly view: Pick<DatabaseView, 'role' | 'position'>
  readonly metrics: Pick<Metrics, 'onRole'>
  readonly nodeFile: Pick<NodeFile, 'record'>
}

/**
 * What an operator's command writes behind the name of who asks, so that it is told from one that
 * is meant.
 */
const REHEARSAL = /\(rehearsal\)/

export class RoleJournal {
  readonly #parts: RoleJournalParts
  #was: NodeRecord['role'] | undefined

  constructor(parts: RoleJournalParts) {
    this.#parts = parts
  }

  /**
   * Runs what was asked for, and writes down that it was and how it ended. `detail`: of what is
   * done when it is.
   */
  async audited<T>(
    action: AuditEntry['action'],
    by: string,
    run: () => Promise<T>,
    detail?: string,
  ): Promise<T> {
    const what = REHEARSAL.test(by) ? 'rehearse' : action
    try {
      const result = await run()
      this.#write(what, 'done', by, detail)
      return result
    } catch (error) {
      // What was refused was not begun.
      this.#write(
        what,
        asWalcastError(error).status < 500 ? 'refused' : 'failed',
        by,
        messageOf(error),
      )
      throw error
    }
  }

  /**
   * `was`: its role before. One that comes up in another has changed it: whoever is told of changes
   * hears of that, too.
   */
  started(was: NodeRecord['role']): void {
    const { view } = this.#parts
    this.#was = was
    this.#write('start', 'done', 'the node itself')
    if (view.role() !== was) this.changed('another node leads, or has led since', 'the node itself')
  }

  changed(reason: string, by: string): void {
    const { hooks, clock, log, view, metrics, nodeFile } = this.#parts
    const { node, leader, epoch } = nodeFile.record
    const role = view.role()
    const { txid } = view.position()
    const was = this.#was ?? role
    this.#was = role
    metrics.onRole(role)
    log.warn(
      { role, was, epoch, txid, leader: leader || undefined, reason, by },
      role === 'leader' && was === 'leader'
        ? 'this node leads on in a higher epoch'
        : 'the role of this node changed',
    )
    this.#write('role', 'done', by, reason)
    const at = new Date(clock.nowMs()).toISOString()
    hooks.notify({ at, node, role, was, epoch, txid, leader, reason, by })
  }

  #write(
    action: AuditEntry['action'],
    outcome: AuditEntry['outcome'],
    by: string,
    detail?: string,
  ): void {
    const { audit, clock, view, nodeFile } = this.#parts
    const { node, epoch } = nodeFile.record
    const at = new Date(clock.nowMs()).toISOString()
    const about = {
      at,
      node,
      action,
      outcome,
      role: view.role(),
      epoch,
      txid: view.position().txid,
      by,
    }
    void audit.append(detail === undefined ? about : { ...about, detail })
  }
}
