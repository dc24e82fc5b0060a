/** Reads a dated snapshot back as a person would, and compares it with what it was made of. */
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { systemCode, WalcastError } from '../../errors.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import { closeSync, constants, openSync } from '../../platform/files.ts'
import { namedPageSize } from '../../sqlite/databaseHeader.ts'
import { checkIntegrity } from '../../sqlite/integrityCheck.ts'
import { pageSum } from '../../sqlite/pageSums.ts'
import { isPageSize, lockPage } from '../../sqlite/walFormat.ts'
import { checksumHex } from '../../xxh64.ts'
import type { OpenObject, Store } from '../stores/store.ts'

export interface DatedCheckOrder {
  readonly place: string
  readonly name: string
  /** For the unpacked database; the node's own. */
  readonly folder: string
  readonly txid: number
  /** What it was made of; undefined of one that another process made. */
  readonly madeOf?: DatedContent
}

export interface DatedContent {
  readonly pageSize: number
  readonly pages: number
  readonly checksum: string
}

const READ_BYTES = 1024 * 1024
/** Bytes that one byte of deflate stands for at most: https://zlib.net/zlib_tech.html. */
const MOST_PACKED = 1033
const { O_WRONLY, O_CREAT, O_EXCL } = constants
const OWN = 0o600
const LEAST_PAGE = 512

/**
 * Gives the state checksum of what lies there. Throws ARCHIVE_MISMATCH, ARCHIVE_BROKEN,
 * RESTORE_UNSOUND, and what the place throws.
 */
export async function checkDated(
  order: DatedCheckOrder,
  store: Store,
  ops: FileOps,
): Promise<string> {
  const path = join(order.folder, 'checked.db')
  const source = await store.open(order.name)
  let state: string
  try {
    state = await unpack(source, path, order, ops)
  } finally {
    await source.close()
  }
  const check = await checkIntegrity(path, 'quick_check')
  if (check.outcome !== 'unsound') return state
  const detail = check.problems.join(', ')
  throw new WalcastError('RESTORE_UNSOUND', { txid: order.txid, detail })
}

async function unpack(
  source: OpenObject,
  path: string,
  { name, txid, madeOf }: DatedCheckOrder,
  ops: FileOps,
): Promise<string> {
  const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL, OWN)
  const sum = new StateSum()
  const end = madeOf ? madeOf.pages * madeOf.pageSize : source.bytes * MOST_PACKED
  let at = 0
  try {
    await pipeline(
      bytesOf(source),
      createGunzip({ chunkSize: READ_BYTES }),
      async (raw: AsyncIterable<Buffer>) => {
        for await (const bytes of raw) {
          if (at + bytes.length > end) break
          sum.add(bytes)
          await ops.writeAside('snapshot.write', fd, bytes, at, path)
          at += bytes.length
        }
      },
    )
  } catch (error) {
    // What neither place nor disk has caused comes from zlib.
    if (!systemCode(error)?.startsWith('Z_')) throw error
    throw new WalcastError('ARCHIVE_BROKEN', { name, detail: 'it is no whole gzip file' }, error)
  } finally {
    closeSync(fd)
  }
  if (!madeOf) return sum.state
  const state = at === end ? sum.state : 'another size'
  if (state === madeOf.checksum) return state
  const detail = `${name} gives ${state} in place of ${madeOf.checksum}`
  throw new WalcastError('ARCHIVE_MISMATCH', { txid, detail })
}

async function* bytesOf(source: OpenObject): AsyncGenerator<Buffer> {
  for (let at = 0; at < source.bytes; at += READ_BYTES)
    yield source.read(at, Math.min(READ_BYTES, source.bytes - at))
}

/** The state checksum of a database whose bytes come in order. */
class StateSum {
  #pageSize: number | undefined
  #rest: Buffer = Buffer.alloc(0)
  #page = 0
  #state = 0n

  get state(): string {
    return checksumHex(this.#state)
  }

  add(bytes: Buffer): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    if (all.length >= LEAST_PAGE) this.#pageSize ??= pageSizeIn(all)
    const size = this.#pageSize ?? LEAST_PAGE
    let at = 0
    for (; at + size <= all.length; at += size) {
      this.#page++
      if (this.#page !== lockPage(size))
        this.#state ^= pageSum(this.#page, all.subarray(at, at + size))
    }
    this.#rest = Buffer.from(all.subarray(at))
  }
}

/** What is no database has some state, too: SQLite says what it is. */
function pageSizeIn(bytes: Buffer): number {
  const size = namedPageSize(bytes)
  return isPageSize(size) ? size : LEAST_PAGE
}
