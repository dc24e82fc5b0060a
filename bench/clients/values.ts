/**
 * What writers write: bytes that do not compress, different from row to row, and the same in every
 * run.
 */
import { createHash } from 'node:crypto'

const POOL_BYTES = 1024 * 1024
const DIGEST_BYTES = 64

const pool = makePool()

/** The value of a row, a view that must not be changed. `bytes` is at most a few KB. */
export function rowValue(id: number, bytes: number): Buffer {
  const from = (id * bytes) % (POOL_BYTES - bytes)
  return pool.subarray(from, from + bytes)
}

function makePool(): Buffer {
  const bytes = Buffer.alloc(POOL_BYTES)
  for (let at = 0; at < POOL_BYTES; at += DIGEST_BYTES)
    createHash('sha512').update(String(at)).digest().copy(bytes, at)
  return bytes
}
