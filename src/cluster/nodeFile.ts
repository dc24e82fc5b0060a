/**
 * The role file `FILE-walcast/node.json`: the only source of truth about a node's role. It lies
 * outside the database, so that a copy of the database never carries a role.
 */
import { messageOf, openError, systemCode, WalcastError, writeError } from '../errors.ts'
import { type FileOps, syncFolderAside } from '../platform/fileOps.ts'
import { readFileSync, statSync } from '../platform/files.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'
import { formatRecord, type NodeRecord, parseRecord } from './nodeRecord.ts'

/** Pause between two attempts at a write that failed. */
const MEND_MS = 1000

export class NodeFile {
  readonly path: string
  readonly #ops: FileOps
  #record: NodeRecord
  #saving: Promise<void> = Promise.resolve()
  #mending: Timer | undefined
  #isStopped = false

  private constructor(path: string, ops: FileOps, record: NodeRecord) {
    this.path = path
    this.#ops = ops
    this.#record = record
  }

  /**
   * Reads the record in a node folder; undefined when there is none. Changes nothing. Throws
   * NODE_FILE_BROKEN or DB_UNREADABLE.
   */
  static peek(folder: string): NodeRecord | undefined {
    const path = pathIn(folder)
    return isThere(path) ? read(path) : undefined
  }

  /**
   * Opens the record and makes what it read durable, or writes a first record. Throws
   * NODE_FILE_BROKEN, DISK_FULL or WRITE_FAILED.
   */
  static async open(folder: string, ops: FileOps, first: NodeRecord): Promise<NodeFile> {
    const known = NodeFile.peek(folder)
    const file = new NodeFile(pathIn(folder), ops, known ?? first)
    if (known) {
      // The node may have died just after the rename. A loss of power must not bring back the
      // record before the one that this node now acts on.
      await syncFolderAside(folder).catch((error) => {
        throw writeError(file.path, error)
      })
      return file
    }
    try {
      await file.update({})
    } catch (error) {
      // The start fails, so nothing may retry the write.
      file.#endMending()
      throw error
    }
    return file
  }

  get record(): NodeRecord {
    return this.#record
  }

  /**
   * Resolves when the change is durable and in `record`. Changes are written in the order of the
   * calls. Throws DISK_FULL or WRITE_FAILED: then the role in the file is as before, while other
   * fields may be the new ones. Throws ROLE_UNSURE when the role in the file is uncertain. The node
   * rewrites an uncertain file until the disk takes it.
   */
  update(change: Partial<NodeRecord>): Promise<void> {
    return this.#save(change, async (before, next, error) => {
      if (await this.#takeBack(before, next)) throw error
      this.#mend()
      if (next.role === before.role) throw error
      throw new WalcastError('ROLE_UNSURE', { path: this.path, detail: messageOf(error) }, error)
    })
  }

  /**
   * For a change that holds whether or not the disk takes it: `record` has it in any case, and the
   * node retries the write until it succeeds. Throws the error of the first write.
   */
  insist(change: Partial<NodeRecord>): Promise<void> {
    return this.#save(change, async (_before, next, error) => {
      this.#record = next
      this.#mend()
      throw error
    })
  }

  /** Ends the retries, after a last attempt at a write that had failed. Never throws. */
  async stop(): Promise<void> {
    const isMending = this.#mending !== undefined
    this.#endMending()
    await (isMending ? this.update({}) : this.#saving).catch(() => {})
  }

  #endMending(): void {
    this.#isStopped = true
    cancelTimer(this.#mending)
    this.#mending = undefined
  }

  #save(
    change: Partial<NodeRecord>,
    onFailed: (before: NodeRecord, next: NodeRecord, error: unknown) => Promise<never>,
  ): Promise<void> {
    const save = async () => {
      const [before, next] = [this.#record, { ...this.#record, ...change }]
      await this.#write(next).catch((error) => onFailed(before, next, error))
      this.#record = next
    }
    this.#saving = this.#saving.then(save, save)
    return this.#saving
  }

  #write(record: NodeRecord): Promise<void> {
    return this.#ops.replace(this.path, formatRecord(record), 'role')
  }

  /**
   * A write that fails after the rename leaves the new record in place. The next start must not
   * find a role whose change was refused, so this puts `before` back. Returns whether the file is
   * certain to hold `before`.
   */
  async #takeBack(before: NodeRecord, next: NodeRecord): Promise<boolean> {
    try {
      if (readFileSync(this.path, 'utf8') === formatRecord(next)) await this.#write(before)
      return true
    } catch {
      // The caller reports the first failure.
      return false
    }
  }

  #mend(): void {
    if (this.#isStopped) return
    this.#mending ??= setTimer(() => {
      this.#mending = undefined
      this.update({}).catch(() => this.#mend())
    }, MEND_MS).unref()
  }
}

function pathIn(folder: string): string {
  return `${folder}/node.json`
}

/** A folder that this user may not enter may still have a record. Throws DB_UNREADABLE. */
function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined
  } catch (error) {
    throw openError(path, error)
  }
}

function read(path: string): NodeRecord {
  try {
    return parseRecord(readFileSync(path, 'utf8'), path)
  } catch (error) {
    if (error instanceof WalcastError) throw error
    if (systemCode(error) === 'EACCES') throw openError(path, error)
    throw new WalcastError('NODE_FILE_BROKEN', { path, detail: messageOf(error) }, error)
  }
}
