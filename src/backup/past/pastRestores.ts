/**
 * Restores that are asked of a node, one at a time: to a file in its folder for restored files, or
 * to be downloaded. What is not whole lies in a work folder of this node, which is emptied when a
 * restore ends and when the node starts.
 */
import { join } from 'node:path'
import type { PastDownload, RestoreReport, RestoreResult, RestoreState } from '../../api/past.ts'
import { asWalcastError, WalcastError } from '../../errors.ts'
import { makeFolder } from '../../platform/fileOps.ts'
import { constants, openAside, rmSync } from '../../platform/files.ts'
import { randomBytes } from '../../platform/random.ts'
import { cancelTimer, setTimer, type Timer, wallMs } from '../../platform/time.ts'
import { DOWNLOAD, type RestoreNews } from './pastOrder.ts'

/** How long a file waits to be downloaded. */
const READY_MS = 10 * 60_000
const CHUNK_BYTES = 256 * 1024

export type RunRestore = (
  signal: AbortSignal,
  onNews: (news: RestoreNews) => void,
) => Promise<RestoreResult>

/** `file`: its path, or the name of a download once its position is known. */
export type RestoreAbout = Pick<RestoreReport, 'kind' | 'place' | 'position' | 'by'> & {
  readonly file: string
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
}

interface Job {
  report: RestoreReport
  readonly ending: AbortController
  ended: Promise<void>
  expiry: Timer | undefined
  isSending: boolean
}

export class PastRestores {
  readonly #parts: PastRestoresParts
  #job: Job | undefined

  constructor(parts: PastRestoresParts) {
    this.#parts = parts
    this.#clear()
  }

  report(): RestoreReport | undefined {
    return this.#job?.report
  }

  /** Throws PAST_BUSY, DISK_FULL or WRITE_FAILED. */
  begin({ nameOf, ...about }: RestoreAbout, run: RunRestore): RestoreReport {
    const under = this.#job?.report
    if (under && isUnderWay(under.state))
      throw this.#busy(`a restore of ${under.position} is under way, begun by ${under.by}`)
    this.#remove()
    makeFolder(this.#parts.workFolder)
    const id = randomBytes(16).toString('hex')
    const beganAt = iso()
    const report = { ...about, id, state: 'running', bytes: 0, totalBytes: 0, beganAt } as const
    const ending = new AbortController()
    const job: Job = {
      report,
      ending,
      ended: Promise.resolve(),
      expiry: undefined,
      isSending: false,
    }
    this.#job = job
    job.ended = this.#run(job, nameOf, run)
    return report
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
    cancelTimer(job.expiry)
    try {
      return await this.#open(job)
    } catch (error) {
      this.#await(job)
      throw error
    }
  }

  /** Ends what is under way, and leaves no file that is not whole. */
  async stop(): Promise<void> {
    if (this.#job) await this.#cancel(this.#job)
  }

  async #run(job: Job, nameOf: RestoreAbout['nameOf'], run: RunRestore): Promise<void> {
    const isFile = job.report.kind === 'file'
    const named = (position: string) => (isFile ? {} : { file: nameOf(position) })
    const onNews = (news: RestoreNews) => {
      if (job.report.state === 'running')
        job.report = { ...job.report, ...news, ...named(news.position) }
    }
    try {
      const result = await run(job.ending.signal, onNews)
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
    if (state === 'ready') this.#await(job)
    else this.#clear()
  }

  /** Waits for the file to be downloaded. */
  #await(job: Job): void {
    job.isSending = false
    const { readyMs = READY_MS } = this.#parts
    job.expiry = setTimer(() => this.#turn(job, 'expired'), readyMs).unref()
  }

  async #cancel(job: Job): Promise<void> {
    job.ending.abort()
    await job.ended
    if (job.report.state === 'ready') this.#turn(job, 'cancelled')
  }

  async #open(job: Job): Promise<PastDownload> {
    const path = join(this.#parts.workFolder, DOWNLOAD)
    const file = await openAside(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    let at = 0
    let isOpen = true
    const { report, ending } = job
    return {
      name: report.file,
      bytes: report.result?.databaseBytes ?? 0,
      read: async () => {
        if (ending.signal.aborted) throw this.#gone('it was cancelled')
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

  #find(id: string): Job {
    if (this.#job?.report.id === id) return this.#job
    throw this.#gone('another one was begun since, or the node was started')
  }

  /** A disk that takes nothing must not end the node. */
  #clear(): void {
    try {
      this.#remove()
    } catch (error) {
      this.#parts.onLeft(error)
    }
  }

  #remove(): void {
    rmSync(this.#parts.workFolder, { recursive: true, force: true })
  }

  #busy(detail: string): WalcastError {
    return new WalcastError('PAST_BUSY', { node: this.#parts.node(), detail })
  }

  #gone(detail: string): WalcastError {
    return new WalcastError('PAST_RESTORE_GONE', { node: this.#parts.node(), detail })
  }
}

function isUnderWay(state: RestoreState): boolean {
  return state === 'running' || state === 'ready'
}

function iso(): string {
  return new Date(wallMs()).toISOString()
}
