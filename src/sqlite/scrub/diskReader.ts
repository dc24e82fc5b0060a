/**
 * Reads a database file as the disk has it: past the page cache (O_DIRECT) where the file system
 * can.
 */
import { systemCode } from '../../errors.ts'
import { readAside, readSync } from '../../platform/files.ts'
import { type PinnedFile, pinDirect } from '../pinnedFiles.ts'

/** Offsets, lengths and memory are multiples of this: the largest block size of disks. */
const BLOCK_BYTES = 4096
/**
 * Memory outside V8's heap begins 16 bytes into a page with glibc; elsewhere at some other multiple
 * of 16.
 */
const LIKELY_OFFSET = BLOCK_BYTES - 16

export class DiskReader {
  readonly #fd: number
  /** Begins at an address that direct reads take. */
  readonly #bytes: Buffer
  /** Whether reads come from the disk rather than from the page cache. */
  readonly isDirect: boolean

  /** `maxBytes` is the longest read. */
  constructor(file: PinnedFile, maxBytes: number) {
    const size = 3 * BLOCK_BYTES + Math.ceil(maxBytes / BLOCK_BYTES) * BLOCK_BYTES
    const bytes = Buffer.allocUnsafeSlow(size)
    const direct = directDescriptor(file)
    const offset = direct === undefined ? undefined : alignedOffset(direct, bytes)
    this.isDirect = direct !== undefined && offset !== undefined
    this.#fd = direct !== undefined && offset !== undefined ? direct : file.fd
    this.#bytes = bytes.subarray(offset ?? 0)
  }

  /**
   * `length` bytes at `position`, valid until the next call; what lies past the end of the file is
   * zeros. Throws what read(2) does: EIO.
   */
  async read(position: number, length: number): Promise<Buffer> {
    const skipped = position % BLOCK_BYTES
    const from = position - skipped
    const wanted = Math.ceil((skipped + length) / BLOCK_BYTES) * BLOCK_BYTES
    let done = 0
    while (done < wanted) {
      const { bytesRead } = await readAside(this.#fd, this.#bytes, done, wanted - done, from + done)
      done += bytesRead
      // Direct reads end within a block only at the end of the file, and may not begin there.
      if (bytesRead === 0 || done % BLOCK_BYTES !== 0) break
    }
    this.#bytes.fill(0, done, wanted)
    return this.#bytes.subarray(skipped, skipped + length)
  }
}

function directDescriptor(file: PinnedFile): number | undefined {
  try {
    return pinDirect(file)
  } catch {
    // Not every file system has direct reads; ordinary ones tell a little less.
    return undefined
  }
}

/** Where in `bytes` an address is that direct reads take: only the kernel knows, so it is asked. */
function alignedOffset(fd: number, bytes: Buffer): number | undefined {
  if (takes(fd, bytes, LIKELY_OFFSET)) return LIKELY_OFFSET
  for (let offset = 0; offset < BLOCK_BYTES; offset += 16)
    if (takes(fd, bytes, offset)) return offset
  return undefined
}

function takes(fd: number, bytes: Buffer, offset: number): boolean {
  try {
    readSync(fd, bytes, offset, BLOCK_BYTES, 0)
    return true
  } catch (error) {
    if (systemCode(error) === 'EINVAL') return false
    // The first block cannot be read: that is for the pass to find.
    return systemCode(error) === 'EIO'
  }
}
