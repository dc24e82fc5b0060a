/**
 * Settings are written where the leader is. The role file beside the database says whether that is
 * here. It is asked before each write: the copy of a replica whose node is stopped has no lock that
 * would refuse.
 */
import { NodeFile } from '../cluster/nodeFile.ts'
import { lastLeader, type NodeRecord } from '../cluster/nodeRecord.ts'
import { WalcastError } from '../errors.ts'
import { statSync } from '../platform/files.ts'
import { resolveDatabase } from '../sqlite/databaseFiles.ts'

export class LeaderOnly {
  readonly #path: string
  readonly #folder: string
  #record: NodeRecord | undefined
  /** Tells one state of the role file from another; '' when there is none. */
  #state = ''

  /** `path`: of the database. */
  constructor(path: string) {
    this.#path = path
    this.#folder = `${resolveDatabase(path)}-walcast`
  }

  /** Throws SETTING_ON_REPLICA. A database without a node, or with one of another user, passes. */
  require(): void {
    const record = this.#read()
    if (record === undefined || record.role === 'leader') return
    const { leader } = record
    const node = lastLeader(record)
    const where = node && leader ? `${node} (${leader})` : node || leader
    throw new WalcastError('SETTING_ON_REPLICA', {
      path: this.#path,
      leader: where || 'the leader, which walcast status names',
    })
  }

  #read(): NodeRecord | undefined {
    try {
      const found = statSync(`${this.#folder}/node.json`, { bigint: true, throwIfNoEntry: false })
      const state = found ? `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}` : ''
      if (state !== this.#state) {
        this.#record = found && NodeFile.peek(this.#folder)
        this.#state = state
      }
      return this.#record
    } catch {
      // This user may not look: SQLite itself refuses writes to a copy in use.
      return undefined
    }
  }
}
