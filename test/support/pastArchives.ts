/** Archives of rows: what SQL did to a database, step by step, each step a position. */
import { formatArchiveName } from '../../proto/archiveNames.ts'
import { ArchiveFileWriter, type PageImage } from '../../src/backup/archiveFileWriter.ts'
import type { Store } from '../../src/backup/stores/store.ts'
import { changed, ONE, pagesOf, type State, statesOf } from './archives.ts'

export interface PastOptions {
  readonly pageSize?: number
  /** Positions in a file of changes. */
  readonly perFile?: number
  /** When the first step was, and how long each takes. */
  readonly beginMs?: number
  readonly everyMs?: number
}

export const BEGIN_MS = Date.UTC(2026, 10, 30, 6)
export const EVERY_MS = 60_000

/** `path`: of a new database. `steps`: SQL, one commit each. The first state is the snapshot. */
export async function storePast(
  store: Store,
  path: string,
  steps: readonly string[],
  options: PastOptions = {},
): Promise<State[]> {
  const { pageSize = 4096, perFile = 3, beginMs = BEGIN_MS, everyMs = EVERY_MS } = options
  const states = statesOf(path, pageSize, steps)
  const pages = (state: State) => state.bytes.length / pageSize
  const put = async (
    from: State | undefined,
    points: readonly (readonly [State, readonly PageImage[]])[],
  ) => {
    const [last] = points[points.length - 1]
    const whole = { part: 1, isLast: true }
    const name = from
      ? ({
          kind: 'changes',
          level: 0,
          from: { incarnation: ONE, txid: from.txid },
          to: { incarnation: ONE, txid: last.txid },
          ...whole,
        } as const)
      : ({ kind: 'snapshot', incarnation: ONE, txid: last.txid, ...whole } as const)
    await store.create(formatArchiveName(name), async (append) => {
      const writer = await ArchiveFileWriter.begin(
        {
          kind: from ? 'changes' : 'snapshot',
          cluster: 'cluster-a',
          db: 'main',
          incarnation: ONE,
          epoch: 3,
          pageSize,
          codec: 'deflate',
          blockPages: 4,
          fromIncarnation: from ? ONE : '',
          fromEpoch: from ? 3 : 0,
          fromTxid: from?.txid ?? 0,
          fromChecksum: from?.checksum ?? '',
          createdMs: 0,
          node: 'node-a',
          writer: 'test',
        },
        append,
      )
      for (const [state, images] of points) {
        const { txid, checksum } = state
        const timeMs = beginMs + (txid - states[0].txid) * everyMs
        await writer.add({ txid, checksum, timeMs, pages: pages(state) }, images)
      }
      await writer.end()
    })
  }
  await put(undefined, [[states[0], pagesOf(states[0].bytes, pageSize)]])
  for (let at = 1; at < states.length; at += perFile)
    await put(
      states[at - 1],
      states
        .slice(at, at + perFile)
        .map((state, i) => [state, changed(states[at - 1 + i], state, pageSize)] as const),
    )
  return states
}
