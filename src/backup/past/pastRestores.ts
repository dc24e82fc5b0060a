/**
 * Restores that are asked of a node, one at a time: to a file in its folder for restored files, or
 * to be downloaded. A file that is made and waits, or is being sent, holds up no other restore: so
 * many wait, each for a while. All lie in a work folder of this node, each in a folder of its own,
 * which goes when the restore ends; all of them go when the node starts.
 */
import { join } from 'node:path'
import type { PastDownload, RestoreReport, RestoreResult, RestoreState } from '../../api/past.ts'
import { asWalcastError, WalcastError } from '../../errors.ts'
import { makeFolder } from '../../platform/fileOps.ts'
import { constants, openAside, rmSync } from '../../platform/files.ts'
import { randomBytes } from '../../platform/random.ts'
import { cancelTimer, monotonicMs, setTimer, type Timer, wallMs } from '../../platform/time.ts'
import { DOWNLOAD, type RestoreNews } from './pastOrder.ts'

/** How long a file waits to be downloaded, and how long it is there at most. */
const READY_MS = 10 * 60_000
/** Enough for 10 GB at 1 Mbit/s. */
const LIFE_MS = 24 * 60 * 60_000
/** Files that wait to be downloaded or are being sent: in all, and of one asker. */
const MAX_READY = 4
const MAX_READY_EACH = 2
const CHUNK_BYTES = 256 * 1024

export type RunRestore = (
  signal: AbortSignal,
  onNews: (news: RestoreNews) => void,
  workFolder: string,
) => Promise<RestoreResult>

/** `file`: its path, or the name of a download once its position is known. */
export type RestoreAbout = Pick<RestoreReport, 'kind' | 'place' | 'position' | 'by'> & {
  readonly file: string
  /** Whose share of the files that wait it takes. */
  readonly reader: string
  nameOf(position: string): string
}

export interface PastRestoresParts {
  /** On the disk of the restored files, and of this node alone. */
  readonly workFolder: string
  /** Id of this node. */
  node(): string
  /** What is left over cannot be removed, or a file not be closed. It is tried again later. */
  onLeft(error: unknown): void
  readonly readyMs?: number
  readonly lifeMs?: number
}

interface Job {
  report: RestoreReport
  readonly reader: string
  readonly folder: string
  readonly ending: AbortController
  ended: Promise<void>
  expiry: Timer | undefined
  isSending: boolean
  /** Reading of the monotonic clock at which its file goes. */
  goesMs: number
}

export class PastRestores {
  readonly #parts: PastRestoresParts
  /** The last one. No other one runs. */
  #last: Job | undefined
  readonly #ready = new Set<Job>()

  constructor(parts: PastRestoresParts) {
    this.#parts = parts
    this.#clear(parts.workFolder)
  }

  /** The last one, and which other files wait to be downloaded. */
  report(): RestoreReport | undefined {
    const { report } = this.#last ?? {}
    const others = [...this.#ready].flatMap(({ report: { id, position, file, by } }) =>
      id === report?.id ? [] : { id, position, file, by },
    )
    return report && { ...report, others }
  }

  /** Throws PAST_BUSY, DISK_FULL or WRITE_FAILED. */
  begin({ nameOf, reader, ...about }: RestoreAbout, run: RunRestore): RestoreReport {
    const under = this.#last?.report
    if (under?.state === 'running')
      throw this.#busy(`a restore of ${under.position} is under way, begun by ${under.by}`)
    if (about.kind === 'download') this.#requireRoom(reader)
    const { workFolder } = this.#parts
    if (this.#ready.size === 0) remove(workFolder)
    const id = randomBytes(16).toString('hex')
    const folder = join(workFolder, id)
    makeFolder(workFolder)
    makeFolder(folder)
    const beganAt = iso()
    const report = { ...about, id, state: 'running', bytes: 0, totalBytes: 0, beganAt } as const
    const ending = new AbortController()
    const job: Job = {
      ...{ report, reader, folder, ending },
      ended: Promise.resolve(),
      expiry: undefined,
      isSending: false,
      goesMs: Number.POSITIVE_INFINITY,
    }
    this.#last = job
    job.ended = this.#run(job, nameOf, run)
    return report
  }

  positionOf(id: string): string | undefined {
    return this.#jobOf(id)?.report.position
  }

  /** Throws PAST_RESTORE_GONE. */
  async cancel(id: string): Promise<RestoreReport> {
    const job = this.#find(id)
    await this.#cancel(job)
    return job.report
  }

  /** Throws PAST_RESTORE_GONE or PAST_BUSY. */
  async download(id: string): Promise<PastDownload> {
    const job = this.#find(id)
    if (job.report.state !== 'ready') throw this.#gone(`it is ${job.report.state}`)
    if (job.isSending) throw this.#busy('the file is being sent')
    job.isSending = true
    this.#expire(job, Number.POSITIVE_INFINITY)
    try {
      return await this.#open(job)
    } catch (error) {
      this.#await(job)
      throw error
    }
  }

  /** Ends what is under way, and leaves no file. */
  async stop(): Promise<void> {
    const { last, ready } = { last: this.#last, ready: [...this.#ready] }
    await Promise.all([...ready, ...(last ? [last] : [])].map((job) => this.#cancel(job)))
  }

  #requireRoom(reader: string): void {
    const own = [...this.#ready].filter((job) => job.reader === reader).length
    const each = `${own} restored files of yours wait to be downloaded, or are being sent`
    if (own >= MAX_READY_EACH) throw this.#busy(each)
    const { size } = this.#ready
    const all = `${size} restored files wait to be downloaded, or are being sent`
    if (size >= MAX_READY) throw this.#busy(all)
  }

  async #run(job: Job, nameOf: RestoreAbout['nameOf'], run: RunRestore): Promise<void> {
    const isFile = job.report.kind === 'file'
    const named = (position: string) => (isFile ? {} : { file: nameOf(position) })
    const onNews = (news: RestoreNews) => {
      if (job.report.state === 'running')
        job.report = { ...job.report, ...news, ...named(news.position) }
    }
    try {
      const result = await run(job.ending.signal, onNews, job.folder)
      const { position } = result
      const { totalBytes } = job.report
      const about = { result, position, bytes: totalBytes, ...named(position) }
      job.report = { ...job.report, ...about }
      this.#turn(job, isFile ? 'done' : 'ready')
    } catch (error) {
      if (job.ending.signal.aborted) return this.#turn(job, 'cancelled')
      const { code, message, cure } = asWalcastError(error)
      job.report = { ...job.report, error: { code, message, cure } }
      this.#turn(job, 'failed')
    }
  }

  #turn(job: Job, state: RestoreState): void {
    job.report = { ...job.report, state, endedAt: iso() }
    cancelTimer(job.expiry)
    if (state === 'ready') {
      this.#ready.add(job)
      job.goesMs = monotonicMs() + (this.#parts.lifeMs ?? LIFE_MS)
      this.#await(job)
    } else {
      this.#ready.delete(job)
      const { folder } = job
      const isLast = this.#ready.size === 0 && this.#last?.report.state !== 'running'
      this.#clear(isLast ? this.#parts.workFolder : folder)
    }
  }

  /** Waits for the file to be downloaded. */
  #await(job: Job): void {
    job.isSending = false
    this.#expire(job, this.#parts.readyMs ?? READY_MS)
  }

  #expire(job: Job, afterMs: number): void {
    cancelTimer(job.expiry)
    const leftMs = Math.min(afterMs, Math.max(0, job.goesMs - monotonicMs()))
    job.expiry = setTimer(() => this.#turn(job, 'expired'), leftMs).unref()
  }

  async #cancel(job: Job): Promise<void> {
    job.ending.abort()
    await job.ended
    if (job.report.state === 'ready') this.#turn(job, 'cancelled')
  }

  async #open(job: Job): Promise<PastDownload> {
    const path = join(job.folder, DOWNLOAD)
    const file = await openAside(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    let at = 0
    let isOpen = true
    const { report } = job
    return {
      name: report.file,
      bytes: report.result?.databaseBytes ?? 0,
      read: async () => {
        if (job.report.state !== 'ready') throw this.#gone(`it is ${job.report.state}`)
        const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, at)
        at += bytesRead
        return bytesRead === 0 ? undefined : buffer.subarray(0, bytesRead)
      },
      close: async (isWhole) => {
        if (!isOpen) return
        isOpen = false
        await file.close().catch((error) => this.#parts.onLeft(error))
        if (job.report.state !== 'ready') return
        if (isWhole) this.#turn(job, 'done')
        else this.#await(job)
      },
    }
  }

  #jobOf(id: string): Job | undefined {
    const all = [...this.#ready, ...(this.#last ? [this.#last] : [])]
    return all.find(({ report }) => report.id === id)
  }

  #find(id: string): Job {
    const found = this.#jobOf(id)
    if (found) return found
    throw this.#gone('another one was begun since, or the node was started')
  }

  /** A disk that takes nothing must not end the node. */
  #clear(folder: string): void {
    try {
      remove(folder)
    } catch (error) {
      this.#parts.onLeft(error)
    }
  }

  #busy(detail: string): WalcastError {
    return new WalcastError('PAST_BUSY', { node: this.#parts.node(), detail })
  }

  #gone(detail: string): WalcastError {
    return new WalcastError('PAST_RESTORE_GONE', { node: this.#parts.node(), detail })
  }
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

function iso(): string {
  return new Date(wallMs()).toISOString()
}
