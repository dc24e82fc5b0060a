/** `walcast backups`: what an archive can restore. */
import { parseArchiveName } from '../../proto/archiveNames.ts'
import { Archive } from '../backup/archive.ts'
import { type CheckedFiles, checkedFiles } from '../backup/archiveCheck.ts'
import { summaryOf } from '../backup/archiveSummary.ts'
import { keepNotes, notedFiles } from '../backup/checkedNotes.ts'
import type { BadPieces } from '../backup/historyPositions.ts'
import { lockedFilesIn } from '../backup/lockedFiles.ts'
import { pieceName } from '../backup/restorePlan.ts'
import { clusterArchive, headOfEnvelope } from '../backup/restoreTarget.ts'
import { namedPoints } from '../backup/retention/namedPoints.ts'
import { messageOf, WalcastError } from '../errors.ts'
import { wallMs } from '../platform/time.ts'
import { archivePlace, identityHelp } from './archivePlace.ts'
import { type Backups, backupsJson, backupsText } from './backupsText.ts'
import { parseFlags } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { ProgressOutput } from './progressOutput.ts'
import { jsonLine } from './queryCommand.ts'
import { ReadProgress } from './readProgress.ts'
import { showAnswers, WATCH_FLAGS, watchHelp } from './watch.ts'

const HELP = `walcast backups --from PLACE [--verify] [--json] [--watch]
walcast backups name NAME --from PLACE [--at TIME | --txid N | --position EPOCH-TXID]
walcast backups forget NAME --from PLACE

Shows what an archive has: from when to when it can restore, snapshots, what is missing, and
positions that have a name. "name" gives a position a name, so that it stays whatever --keep says;
see walcast backups name --help.

  --from PLACE     the archive: the folder that has snapshots/ and changes/,
                   s3://BUCKET/PREFIX?region=REGION (docs/backup/s3.md), or a node that archives:
                   its URL, HOST:PORT or id, or the database file of a node on this machine
${identityHelp(15)}
  --cluster ID     of this cluster, when PLACE has archives of several
  --verify         also read every file and check every checksum in it
  --json           print everything as one JSON object; the progress goes to standard error
${watchHelp(14, '30s')}

Of encrypted files that no identity opens it shows what their names and headers tell. --verify
checks the checksums of what is stored of them.

Of each file that it finds broken --verify leaves a note in the place, where you may write there. So
do nodes. It is named until --verify reads the file whole and sound, or the file is gone.

Exit code: 1 when --verify finds a file that is not sound, or one was found on the way; else 0.
`

export const FLAGS = {
  help: { type: 'boolean' },
  json: { type: 'boolean' },
  from: { type: 'string' },
  identity: { type: 'string' },
  cluster: { type: 'string' },
  verify: { type: 'boolean' },
  ...WATCH_FLAGS,
} as const

/** Each look lists the archive, which a bucket counts as requests. */
const WATCH_MS = 30_000

export async function runBackups(args: readonly string[]): Promise<number> {
  const [subcommand, ...rest] = args
  if (subcommand === 'name') return (await import('./namedPoints.ts')).runNamePoint(rest)
  if (subcommand === 'forget') return (await import('./namedPoints.ts')).runForgetPoint(rest)
  const flags = parseFlags(args, FLAGS)
  const { help, json = false, from, identity, cluster, verify = false, watch } = flags
  if (help) {
    showHelp(HELP)
    return 0
  }
  if (verify && watch)
    throw new WalcastError('USAGE', { detail: '--verify reads every file: not with --watch' })
  const place = await archivePlace({ flag: '--from', place: from, identity })
  const progress = new ReadProgress(new ProgressOutput(json))
  let isSound = true
  await showAnswers<Backups>(
    {
      title: 'walcast backups',
      async ask() {
        const backups = await look(place, cluster, verify, progress)
        isSound = backups.bad.length === 0
        return backups
      },
      format: backupsText,
      json: (backups) => jsonLine(backupsJson(backups)),
    },
    flags,
    WATCH_MS,
  )
  return isSound ? 0 : 1
}

async function look(
  { store, identities }: Awaited<ReturnType<typeof archivePlace>>,
  cluster: string | undefined,
  isVerified: boolean,
  progress: ReadProgress,
): Promise<Backups> {
  const archive = await Archive.list(store, { identities, onRead: progress.add })
  const found: BadPieces = new Map()
  const own = await clusterArchive(archive, cluster, found, headOfEnvelope)
  const summary = await summaryOf(own, found)
  const locked = await lockedFilesIn(own.archive, found)
  // A name that cannot be read hides no others.
  const points = await namedPoints(store, (name, error) => found.set(name, error))
  if (isVerified) progress.begin('verifying', summary.bytes)
  const checked = isVerified ? await checkedFiles(archive).finally(() => progress.end()) : undefined
  if (checked)
    await keepNotes(store, archive.files, checked, wallMs()).catch((error) => {
      process.stderr.write(`cannot note in the place what was found: ${messageOf(error)}\n`)
    })
  const bad = [...merged(found, checked)].map(([name, error]) => ({ name, error }))
  const seen = new Set(bad.map(({ name }) => pieceOf(name)))
  const noted = (await notedFiles(store, archive.files)).filter(({ name }) => !seen.has(name))
  return { place: store.name, summary, points, bad, noted, locked, checked }
}

/** The name that all parts of a file share. */
function pieceOf(name: string): string {
  const parsed = parseArchiveName(name)
  return parsed ? pieceName(parsed) : name
}

function merged(
  found: ReadonlyMap<string, WalcastError>,
  checked: CheckedFiles | undefined,
): ReadonlyMap<string, WalcastError> {
  const verified = checked?.bad ?? []
  return new Map([...found, ...verified.map(({ name, error }) => [name, error] as const)])
}
