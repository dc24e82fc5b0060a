/**
 * `FILE-walcast/audit.jsonl`: every change of role and every removal of a replica, who asked for it
 * and what became of it, one JSON object a line; `noted.jsonl` beside it has what others may note
 * as often as they like (see AuditTrail). The node only ever appends. A full file becomes
 * audit.1.jsonl, that one audit.2.jsonl and so on; the fifth is deleted, so the log takes at most
 * 40 MiB. The log is for people: no decision of a node uses it, and a failed write never delays a
 * change of role.
 */
import type { FileHandle } from 'node:fs/promises'
import type { Logger } from 'pino'
import { type AuditEntry, type AuditSource, MAX_AUDIT_ENTRIES } from '../api/audit.ts'
import { messageOf, systemCode, writeError } from '../errors.ts'
import { type FileOps, syncFolder } from '../platform/fileOps.ts'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openAside,
  openSync,
  readSync,
  rmSync,
  statSync,
} from '../platform/files.ts'
import { requirePlainFile } from '../platform/plainFiles.ts'
import { formatEntry, parseEntry, tidyEntry } from './auditEntry.ts'

const AUDIT_FILE_BYTES = 8 * 1024 * 1024
/** The most full files of one log. */
const OLDER_FILES = 4
/** Read at start: about 200 entries of the longest kind. */
const TAIL_BYTES = 256 * 1024
/** The most entries that wait for a slow disk. */
const MAX_WAITING = 256
const LINE_END = 0x0a
const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW } = constants
const APPEND = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW

/** What the files of a log are called. */
export type AuditLogName = 'audit' | 'noted'

export interface AuditLogOptions {
  readonly name?: AuditLogName
  /** Size of a full file. */
  readonly maxBytes?: number
  /** An entry did not get into the log. */
  readonly onDropped?: () => void
}

export class AuditLog implements AuditSource {
  readonly #folder: string
  readonly #ops: FileOps
  readonly #log: Logger
  readonly #name: AuditLogName
  readonly #maxBytes: number
  readonly #onDropped: () => void
  /** The newest last, including entries that the disk did not take. */
  #entries: AuditEntry[]
  #writing: Promise<void> = Promise.resolve()
  #waiting = 0
  #hasFailed = false

  /** Reads the end of the log. Never throws: logs what it cannot read, and leaves it alone. */
  constructor(folder: string, ops: FileOps, log: Logger, options: AuditLogOptions = {}) {
    const { name = 'audit', maxBytes = AUDIT_FILE_BYTES, onDropped = () => {} } = options
    this.#folder = folder
    this.#ops = ops
    this.#log = log
    this.#name = name
    this.#maxBytes = maxBytes
    this.#onDropped = onDropped
    this.#entries = this.#read()
  }

  /**
   * Durable when it resolves, if the disk allows. Never rejects: logs the first of several failures
   * in a row.
   */
  append(entry: AuditEntry): Promise<void> {
    const kept = tidyEntry(entry)
    this.#entries = [...this.#entries, kept].slice(-MAX_AUDIT_ENTRIES)
    if (this.#waiting >= MAX_WAITING) {
      this.#onFailed(new Error(`${MAX_WAITING} entries wait for the disk already`))
      return this.#writing
    }
    this.#waiting++
    this.#writing = this.#writing.then(() => this.#write(formatEntry(kept)))
    return this.#writing
  }

  recent(limit: number): readonly AuditEntry[] {
    return limit > 0 ? this.#entries.slice(-limit) : []
  }

  /** Resolves when everything appended so far is written. */
  settled(): Promise<void> {
    return this.#writing
  }

  #path(generation = 0): string {
    return `${this.#folder}/${this.#name}${generation === 0 ? '' : `.${generation}`}.jsonl`
  }

  async #write(line: string): Promise<void> {
    try {
      await this.#appendLine(Buffer.from(line))
      if (this.#hasFailed)
        this.#log.info({ path: this.#path() }, 'the audit log can be written again')
      this.#hasFailed = false
    } catch (error) {
      this.#onFailed(error)
    } finally {
      this.#waiting--
    }
  }

  async #appendLine(line: Buffer): Promise<void> {
    const path = this.#path()
    this.#rotateIfFull(line.length)
    const isNew = !existsSync(path)
    requirePlainFile(path)
    const file = await openAside(path, APPEND, 0o600)
    try {
      const { size } = await file.stat()
      // A line end first, when a crash or a full disk has torn the line before.
      const whole = (await endsTorn(file, size)) ? Buffer.concat([Buffer.of(LINE_END), line]) : line
      await this.#ops.writeAside('audit.append', file.fd, whole, size, path)
      await file.sync()
      if (isNew) syncFolder(this.#folder)
    } catch (error) {
      throw writeError(path, error)
    } finally {
      await file.close()
    }
  }

  #rotateIfFull(bytes: number): void {
    if (sizeOf(this.#path()) + bytes <= this.#maxBytes) return
    // Only up to the first gap, which a crash between two renames may have left.
    let gap = 1
    while (gap <= OLDER_FILES && existsSync(this.#path(gap))) gap++
    if (gap > OLDER_FILES) {
      this.#log.info({ path: this.#path(OLDER_FILES) }, 'deleting the oldest file of the audit log')
      rmSync(this.#path(OLDER_FILES))
      gap = OLDER_FILES
    }
    for (let to = gap; to > 0; to--)
      this.#ops.rename('audit.rename', this.#path(to - 1), this.#path(to))
  }

  /** An entry was lost. */
  #onFailed(error: unknown): void {
    this.#onDropped()
    if (!this.#hasFailed)
      this.#log.warn({ path: this.#path(), error: messageOf(error) }, 'cannot write the audit log')
    this.#hasFailed = true
  }

  /** The last entries, also from the file before while the newest has few. */
  #read(): AuditEntry[] {
    const newest = this.#readTail(this.#path())
    const older = newest.length < MAX_AUDIT_ENTRIES ? this.#readTail(this.#path(1)) : []
    return [...older, ...newest].slice(-MAX_AUDIT_ENTRIES)
  }

  #readTail(path: string): AuditEntry[] {
    try {
      const lines = tailLines(path)
      const entries = lines.flatMap((line) => parseEntry(line) ?? [])
      const damaged = lines.length - entries.length
      if (damaged > 0) this.#log.warn({ path, damaged }, 'cannot read some lines of the audit log')
      return entries
    } catch (error) {
      if (systemCode(error) !== 'ENOENT')
        this.#log.warn({ path, error: messageOf(error) }, 'cannot read the audit log')
      return []
    }
  }
}

/** The lines that begin in the last TAIL_BYTES of a file. */
function tailLines(path: string): string[] {
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    const start = Math.max(0, size - TAIL_BYTES)
    const bytes = Buffer.alloc(size - start)
    let done = 0
    while (done < bytes.length) {
      const count = readSync(fd, bytes, done, bytes.length - done, start + done)
      if (count === 0) break
      done += count
    }
    const lines = bytes.subarray(0, done).toString('utf8').split('\n')
    return (start > 0 ? lines.slice(1) : lines).filter((line) => line !== '')
  } finally {
    closeSync(fd)
  }
}

async function endsTorn(file: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return false
  const last = Buffer.alloc(1)
  const { bytesRead } = await file.read(last, 0, 1, size - 1)
  return bytesRead === 1 && last[0] !== LINE_END
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
