/** `walcast backups`: what an archive can restore. */
import { Archive } from '../backup/archive.ts'
import { type BadFile, badFilesOf } from '../backup/archiveCheck.ts'
import { summaryOf } from '../backup/archiveSummary.ts'
import { clusterArchive } from '../backup/restoreTarget.ts'
import { openStore } from '../backup/stores/openStore.ts'
import { WalcastError } from '../errors.ts'
import { systemFileOps } from '../platform/fileOps.ts'
import { backupsJson, backupsText } from './backupsText.ts'
import { parseFlags } from './commandArguments.ts'
import { jsonLine } from './queryCommand.ts'
import { RestoreProgressLine } from './restoreProgress.ts'

const HELP = `walcast backups --from DIR [--verify] [--json]

Shows what an archive has: from when to when it can restore, snapshots, and what is missing.

  --from DIR      the archive: the folder that has snapshots/ and changes/
  --cluster ID    of this cluster, when DIR has archives of several
  --verify        also read every file and check every checksum in it
  --json          print everything as one JSON object

Exit code: 1 when --verify finds a file that is not sound, or one was found on the way; else 0.
`

const FLAGS = {
  help: { type: 'boolean' },
  json: { type: 'boolean' },
  from: { type: 'string' },
  cluster: { type: 'string' },
  verify: { type: 'boolean' },
} as const

export async function runBackups(args: readonly string[]): Promise<number> {
  const { help, json = false, from, cluster, verify = false } = parseFlags(args, FLAGS)
  if (help) {
    process.stdout.write(HELP)
    return 0
  }
  if (!from) throw new WalcastError('USAGE', { detail: '--from DIR is required' })
  const progress = new RestoreProgressLine('verifying', json)
  const store = await openStore(from, systemFileOps)
  const archive = await Archive.list(store, (bytes) => progress.add(bytes))
  const found = new Map()
  const own = await clusterArchive(archive, cluster, found)
  const summary = await summaryOf(own, found)
  if (verify) progress.begin(summary.bytes)
  const verified = verify ? await badFilesOf(archive).finally(() => progress.end()) : []
  const bad = [...merged(found, verified)].map(([name, error]) => ({ name, error }))
  const backups = { place: store.name, summary, bad, isVerified: verify }
  process.stdout.write(json ? jsonLine(backupsJson(backups)) : backupsText(backups))
  return bad.length > 0 ? 1 : 0
}

function merged(
  found: ReadonlyMap<string, WalcastError>,
  verified: readonly BadFile[],
): ReadonlyMap<string, WalcastError> {
  return new Map([...found, ...verified.map(({ name, error }) => [name, error] as const)])
}
