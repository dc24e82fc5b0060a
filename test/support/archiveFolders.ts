/** Archives in folders, as a node writes them: real states of a database, and times of day. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ArchiveName, formatArchiveName } from '../../proto/archiveNames.ts'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import type { BackupRecipient } from '../../src/security/backupKeys.ts'
import { changed, fileOf, pagesOf, type State } from './archives.ts'

/** One file of an archive. */
export interface FolderFile {
  readonly kind: 'snapshot' | 'changes'
  readonly incarnation: string
  readonly epoch?: number
  /** Places of the states in the list: of the one before, and of those in the file. */
  readonly from?: number
  readonly states: readonly number[]
  /** Of the state before, when it is another incarnation. */
  readonly after?: string
  readonly level?: number
  readonly cluster?: string
  /** Those for whom it is encrypted. */
  readonly recipients?: readonly BackupRecipient[]
}

/** Times: one minute for each txid. */
export const timeOfTxid = (txid: number): number => Date.UTC(2026, 0, 1) + txid * 60_000

/** Gives the names of the files. */
export async function writeArchive(
  folder: string,
  states: readonly State[],
  pageSize: number,
  files: readonly FolderFile[],
): Promise<string[]> {
  const store = new DirectoryStore(folder, systemFileOps)
  const names: string[] = []
  for (const file of files) {
    const name = formatArchiveName(nameOf(file, states))
    const bytes = await bytesOf(file, states, pageSize)
    await store.create(name, (append) => append(bytes))
    names.push(name)
  }
  return names
}

function nameOf(file: FolderFile, states: readonly State[]): ArchiveName {
  const { kind, incarnation, from = 0, after = incarnation, level = 0 } = file
  const whole = { part: 1, isLast: true }
  const { txid } = states[file.states[file.states.length - 1]]
  if (kind === 'snapshot') return { kind, incarnation, txid, ...whole }
  return {
    ...{ kind, level, ...whole },
    from: { incarnation: after, txid: states[from].txid },
    to: { incarnation, txid },
  }
}

function bytesOf(
  {
    kind,
    incarnation,
    epoch = 1,
    from = 0,
    after = incarnation,
    cluster,
    recipients,
    ...file
  }: FolderFile,
  states: readonly State[],
  pageSize: number,
): Promise<Buffer> {
  const about = { kind, incarnation, epoch, ...(cluster && { cluster }) }
  if (kind === 'snapshot') {
    const state = states[file.states[0]]
    return fileOf(pageSize, {
      about: { ...about, fromIncarnation: '', fromEpoch: 0 },
      points: [[state, pagesOf(state.bytes, pageSize)]],
      timeOf: timeOfTxid,
      recipients,
    })
  }
  let before = states[from]
  const { txid, checksum } = before
  const points = file.states.map((place) => {
    const state = states[place]
    const images = changed(before, state, pageSize)
    before = state
    return [state, images] as const
  })
  return fileOf(pageSize, {
    about: { ...about, fromIncarnation: after, fromTxid: txid, fromChecksum: checksum },
    points,
    timeOf: timeOfTxid,
    recipients,
  })
}

/** Changes one bit of a file, `at` of its length from its beginning. */
export function flipBit(folder: string, name: string, at: number): void {
  const path = join(folder, name)
  const bytes = readFileSync(path)
  bytes[Math.floor(at * (bytes.length - 1))] ^= 0x10
  writeFileSync(path, bytes)
}
