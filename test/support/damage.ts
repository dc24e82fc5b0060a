/** Damages files of an archive. */
import { readFileSync, writeFileSync } from 'node:fs'

/** Changes a byte of the first block: a look at the ends of the file does not see it. */
export function spoilFirstBlock(path: string): void {
  const bytes = readFileSync(path)
  bytes[24 + bytes.readUInt32LE(12) + 5] ^= 1
  writeFileSync(path, bytes)
}
