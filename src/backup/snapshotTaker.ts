/**
 * Copies a database that is written to, page by page, into a file that has one position of it. No
 * writer is held up: pages that change meanwhile are copied again.
 */
import { decode, payloadPage, payloadPageNumber } from '../../proto/codec.ts'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import { PageServer } from '../feed/pageServer.ts'
import type { FileOps } from '../platform/fileOps.ts'
import type { PageImage } from './archiveFileWriter.ts'
import type { ArchiveSource, SourceState } from './archiveSource.ts'
import type { Stand } from './batchRecord.ts'
import { PageFile } from './pageFile.ts'

export interface TakenSnapshot {
  readonly at: Stand
  /** When the leader noticed the position, else when it was copied: ms since 1970 in its clock. */
  readonly timeMs: number
  readonly pages: number
  readonly pageSize: number
  /** The pages, one after another. */
  readonly path: string
}

interface Synced {
  readonly body: Body<'synced'>
  readonly payload: Buffer
  readonly timeMs: number
}

export class SnapshotTaker {
  readonly #source: ArchiveSource
  readonly #path: string
  readonly #ops: FileOps
  readonly #db: string
  readonly #noticedMs: (at: Stand) => number | undefined
  #server: PageServer | undefined
  #isStopped = false

  /** `noticedMs`: when the leader noticed a position, while that is known. */
  constructor(
    source: ArchiveSource,
    db: string,
    path: string,
    ops: FileOps,
    noticedMs: (at: Stand) => number | undefined = () => undefined,
  ) {
    this.#source = source
    this.#db = db
    this.#path = path
    this.#ops = ops
    this.#noticedMs = noticedMs
  }

  /** A batch was captured. */
  onCaptured(pageNumbers: readonly number[]): void {
    this.#server?.onCaptured(pageNumbers)
  }

  /** `run` rejects with STOPPING. */
  stop(): void {
    this.#isStopped = true
  }

  /** The file lies at the path then, and is the caller's. Throws what leaves nothing behind. */
  async run(state: SourceState): Promise<TakenSnapshot> {
    const { pageSize, source } = state
    const file = new PageFile(this.#path, pageSize, this.#ops)
    try {
      const { body, payload, timeMs } = await this.#copy(source, file)
      const { incarnation, epoch, txid, checksum, dbPages: pages } = body
      await file.put(imagesOf(body, payload))
      file.prove(txid, pages, checksum)
      const at = { incarnation, epoch, txid, checksum }
      return { at, timeMs, pages, pageSize, path: this.#path }
    } catch (error) {
      file.remove()
      throw error
    } finally {
      file.close()
    }
  }

  async #copy(source: SourceState['source'], file: PageFile): Promise<Synced> {
    let end: Synced | undefined
    const server = new PageServer({
      db: this.#db,
      ...source,
      position: () => this.#position(),
      isConnected: () => !this.#isStopped,
      look: () => this.#source.look(),
      send: (message, onTaken) => take(file, message).then(onTaken),
      finish: (message) => {
        end = this.#synced(message)
      },
    })
    this.#server = server
    try {
      await server.run()
    } finally {
      this.#server = undefined
    }
    if (!end) throw new WalcastError('STOPPING')
    return end
  }

  /** At once: a later batch may be known by the time that the copy has ended. */
  #synced(message: Buffer): Synced {
    const { type, body, payload } = decode(message)
    if (type !== 'synced')
      throw new WalcastError('INTERNAL', { detail: 'a copy ended without its position' })
    const timeMs = Math.floor(this.#noticedMs(body) ?? this.#source.leaderMs())
    return { body, payload, timeMs }
  }

  #position(): SourceState {
    const state = this.#isStopped ? undefined : this.#source.state()
    if (!state) throw new WalcastError('STOPPING')
    return state
  }
}

/** Pages in between; their state is compared at the end. */
async function take(file: PageFile, message: Buffer): Promise<void> {
  const pages = decode(message)
  if (pages.type === 'pages') await file.put(imagesOf(pages.body, pages.payload))
}

function* imagesOf(
  { pages, pageSize }: { readonly pages: number; readonly pageSize: number },
  payload: Buffer,
): Generator<PageImage> {
  for (let i = 0; i < pages; i++)
    yield {
      number: payloadPageNumber(payload, i),
      bytes: payloadPage(payload, i, pages, pageSize),
    }
}
