import loadXxhash from 'xxhash-wasm'

const api = await loadXxhash()

/** XXH64 of `bytes` with `seed` (https://xxhash.com/doc/v0.8.2/, XXH64). Unsigned 64 bits. */
export const xxh64: (bytes: Uint8Array, seed: bigint) => bigint = api.h64Raw

/**
 * A 64-bit checksum as 16 lower-case hex digits, the form it has in messages, status and errors.
 */
export function checksumHex(checksum: bigint): string {
  return checksum.toString(16).padStart(16, '0')
}
