/** Archive files in memory: of made-up positions, and all that can be read of them. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import { ArchiveFile, type ByteSource } from '../../src/backup/archiveFile.ts'
import { ArchiveFileWriter, type PageImage } from '../../src/backup/archiveFileWriter.ts'
import type { BackupIdentity, BackupRecipient } from '../../src/security/backupKeys.ts'

export const HEADER: ArchiveHeader = {
  kind: 'changes',
  cluster: 'cluster-1a2b3c4d5e6f',
  db: 'main',
  incarnation: '0123456789abcdef',
  epoch: 3,
  pageSize: 512,
  codec: 'none',
  blockPages: 2,
  fromIncarnation: '0123456789abcdef',
  fromEpoch: 3,
  fromTxid: 40,
  fromChecksum: '00000000000000ff',
  createdMs: 1_700_000_000_123,
  node: 'node-a',
  writer: 'walcast 0.1.0',
}

export interface Wanted {
  readonly txid: number
  readonly checksum: string
  readonly timeMs: number
  readonly pages: number
  readonly images: readonly PageImage[]
}

export async function written(
  header: ArchiveHeader,
  points: readonly Wanted[],
  recipients?: readonly BackupRecipient[],
): Promise<Buffer> {
  const pieces: Buffer[] = []
  const writer = await ArchiveFileWriter.begin(
    header,
    async (bytes) => {
      pieces.push(Buffer.from(bytes))
    },
    recipients,
  )
  for (const { images, ...point } of points) await writer.add(point, images)
  await writer.end()
  return Buffer.concat(pieces)
}

export function sourceOf(bytes: Buffer): ByteSource {
  return {
    name: 'a.changes',
    bytes: bytes.length,
    read: async (at, length) => Buffer.from(bytes.subarray(at, at + length)),
  }
}

export function opened(
  bytes: Buffer,
  identities?: readonly BackupIdentity[],
): Promise<ArchiveFile> {
  return ArchiveFile.open(sourceOf(bytes), identities)
}

/** All that can be read of a file. */
export async function contentOf(file: ArchiveFile): Promise<readonly Wanted[]> {
  const found: Wanted[] = []
  for (const [i, { txid, checksum, timeMs, pages }] of file.points.entries()) {
    const images: PageImage[] = []
    for await (const { number, bytes } of file.images(i, i))
      images.push({ number, bytes: Buffer.from(bytes) })
    found.push({ txid, checksum, timeMs, pages, images })
  }
  return found
}

/** Points with ascending txids, each with some pages of its database. */
export const pointsOf = (pageSize: number) =>
  fc
    .array(
      fc.record({
        step: fc.integer({ min: 1, max: 1000 }),
        checksum: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        timeMs: fc.integer({ min: 0, max: 8.64e15 }),
        numbers: fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { maxLength: 20 }),
        seed: fc.integer({ min: 0, max: 255 }),
      }),
      { maxLength: 8 },
    )
    .map((drawn) => {
      let txid = 0
      return drawn.map(({ step, checksum, timeMs, numbers, seed }): Wanted => {
        txid += step
        const images = numbers
          .toSorted((a, b) => a - b)
          .map((number) => ({ number, bytes: Buffer.alloc(pageSize, (seed * number) % 256) }))
        return {
          txid,
          checksum: checksum.toString(16).padStart(16, '0'),
          timeMs,
          pages: Math.max(1, ...numbers),
          images,
        }
      })
    })

export const SAMPLE: readonly Wanted[] = [
  {
    txid: 41,
    checksum: 'fedcba9876543210',
    timeMs: 1_700_000_000_200,
    pages: 3,
    images: [
      { number: 1, bytes: Buffer.alloc(512, 'a') },
      { number: 3, bytes: Buffer.alloc(512, 'b') },
    ],
  },
  {
    txid: 43,
    checksum: '00000000000000aa',
    timeMs: 1_700_000_000_300,
    pages: 2,
    images: [{ number: 2, bytes: Buffer.alloc(512, 'c') }],
  },
]

export const GOLDEN: readonly Wanted[] = [
  {
    txid: 41,
    checksum: 'fedcba9876543210',
    timeMs: 1_700_000_000_200,
    pages: 2,
    images: [{ number: 2, bytes: Buffer.alloc(512, 'a') }],
  },
]

/** The file below a mark of ARCHIVE.md. */
export function goldenFile(mark: string): Buffer {
  const page = readFileSync(new URL('../../../proto/ARCHIVE.md', import.meta.url), 'utf8')
  const [, shown] = new RegExp(`<!-- ${mark} -->\\n\`\`\`\\n([0-9a-f\\s]+?)\`\`\``).exec(page) ?? []
  return Buffer.from((shown ?? '').replaceAll(/\s/g, ''), 'hex')
}
