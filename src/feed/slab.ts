/**
 * Memory for messages that are kept for a while and let go about in the order in which they were
 * made. A small buffer of its own costs several times the copy that fills it; here many share one,
 * which is held as long as any of them is: up to an eighth more than the messages themselves, and
 * one slab for a straggler such as a socket that takes nothing.
 */
const SLAB_BYTES = 1024 * 1024
/** Larger ones get memory of their own, so that little is lost at the end of a slab. */
const LARGE_BYTES = SLAB_BYTES / 8

let slab = Buffer.alloc(0)
let used = 0

/** Exactly `bytes` bytes, not zeroed. A slab lives until the last buffer of it is let go. */
export function allocateKept(bytes: number): Buffer {
  if (bytes > LARGE_BYTES) return Buffer.allocUnsafeSlow(bytes)
  if (used + bytes > slab.length) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    used = 0
  }
  const from = used
  // Whole words: the checksum reads them faster.
  used += (bytes + 7) & ~7
  return slab.subarray(from, from + bytes)
}
