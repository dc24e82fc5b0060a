/** `walcast restore`: a database from an archive, as it was at any position that is there. */
import { Archive } from '../backup/archive.ts'
import { ArchiveRestore, type PlannedRestore } from '../backup/archiveRestore.ts'
import { HeldFiles } from '../backup/heldFiles.ts'
import { ReplacedFile, type RestorePlace, restorePlace } from '../backup/replacedFile.ts'
import type { Restored, RestoreSteps } from '../backup/restore.ts'
import { clusterArchive } from '../backup/restoreTarget.ts'
import { WalcastError } from '../errors.ts'
import { type FileOps, systemFileOps } from '../platform/fileOps.ts'
import { existsSync } from '../platform/files.ts'
import { monotonicMs } from '../platform/time.ts'
import { checkIntegrity, type IntegrityCheck } from '../sqlite/integrityCheck.ts'
import { archivePlace, identityHelp } from './archivePlace.ts'
import { parseFlags } from './commandArguments.ts'
import { usage } from './pastArguments.ts'
import { jsonLine, shown } from './queryCommand.ts'
import { lockPlace } from './restoreLocks.ts'
import { RestoreProgressLine } from './restoreProgress.ts'
import {
  dryText,
  nodeText,
  planJson,
  planText,
  RESUMED_TEXT,
  restoredJson,
  restoredText,
  unheldText,
  warningText,
} from './restoreText.ts'
import { POSITION_FLAGS, pointNamed, positionHelp, wantedWithPoint } from './wantedPosition.ts'

const HELP = `walcast restore --from PLACE --to FILE [options]

Restores a database from an archive: the newest position, or any other one that the archive has.
Every checksum is verified on the way, and SQLite checks the database before it becomes FILE. A
restore that was interrupted goes on when you give the same command again.

  --from PLACE             the archive: the folder that has snapshots/ and changes/,
                           s3://BUCKET/PREFIX?region=REGION (docs/backup/s3.md), or a node that
                           archives: its URL, HOST:PORT or id, or the database file of a node on
                           this machine. Over an address it needs a token of the role operate or
                           the cluster secret
${identityHelp(23)}
  --to FILE                the database file to make

Which position [the newest one]
${positionHelp(23)}
  --point NAME             the one that "walcast backups name" gave this name

  --force                  replace FILE if it is there. Only pages that differ are written. FILE
                           must not be open in any program
  --as-far-as-possible     when files are missing or damaged: the last position before them
  --no-integrity-check     do not run SQLite's integrity check, and take the database as it was
  --dry-run                only say what would be read and replaced
  --json                   print the plan, the progress and the result as JSON lines

"walcast backups --from PLACE" shows what an archive has.
`

const FLAGS = {
  ...POSITION_FLAGS,
  help: { type: 'boolean' },
  json: { type: 'boolean' },
  from: { type: 'string' },
  identity: { type: 'string' },
  to: { type: 'string' },
  point: { type: 'string' },
  force: { type: 'boolean' },
  'as-far-as-possible': { type: 'boolean' },
  'no-integrity-check': { type: 'boolean' },
  'dry-run': { type: 'boolean' },
} as const

type Flags = ReturnType<typeof parseFlags<typeof FLAGS>>

export async function runRestore(
  args: readonly string[],
  ops: FileOps = systemFileOps,
  sizes: Pick<RestoreSteps, 'pendingBytes'> = {},
): Promise<number> {
  const flags = parseFlags(args, FLAGS)
  if (flags.help) {
    process.stdout.write(HELP)
    return 0
  }
  const { from, to, json = false } = flags
  if (!from || !to) throw usage('--from PLACE and --to FILE are required')
  const given = wantedWithPoint(flags, flags.point)
  const { store, identities } = await archivePlace(
    { flag: '--from', place: from, identity: flags.identity },
    ops,
  )
  const { cluster, force = false, point, 'dry-run': isDry = false } = flags
  const wanted = point === undefined ? given : { ...(await pointNamed(store, point)), cluster }
  const place = restorePlace(to, force || isDry, isUrl(from) ? undefined : from)
  const progress = new RestoreProgressLine('restoring', json)
  const run = new ArchiveRestore({
    wanted,
    isAsFarAsPossible: flags['as-far-as-possible'] ?? false,
    list: async (bad) => {
      const archive = await Archive.list(store, { identities, onRead: (n) => progress.add(n) })
      return clusterArchive(archive, wanted.cluster, bad)
    },
    held: new HeldFiles(store, (error) => process.stderr.write(unheldText(error))),
    onBad: (name, error) => process.stderr.write(warningText(name, error)),
  })
  if (isDry) {
    const plan = await run.plan()
    process.stdout.write(json ? jsonLine(planJson(plan, place)) : dryText(plan, place, force))
    return 0
  }
  return restoreTo(place, run, progress, flags, { ops, sizes })
}

interface Means {
  readonly ops: FileOps
  readonly sizes: Pick<RestoreSteps, 'pendingBytes'>
}

async function restoreTo(
  place: RestorePlace,
  run: ArchiveRestore,
  progress: RestoreProgressLine,
  { json = false, 'no-integrity-check': isUnchecked = false }: Flags,
  { ops, sizes }: Means,
): Promise<number> {
  const beganMs = monotonicMs()
  const unlock = await lockPlace(place.path).catch((error) => {
    throw withOwnCure(error)
  })
  const replaced = new ReplacedFile(place, ops)
  let check: IntegrityCheck | undefined
  let last: PlannedRestore | undefined
  try {
    const restored: Restored = await run.run(
      place.path,
      {
        ...sizes,
        ...(place.isThere && { base: place.path }),
        onResume: () =>
          json
            ? process.stdout.write(jsonLine({ event: 'resumed' }))
            : process.stderr.write(RESUMED_TEXT),
        approve: async (side) => {
          progress.end()
          check = isUnchecked ? undefined : await checked(side, last)
          await replaced.lock()
        },
        publish: (side) => replaced.replaceBy(side),
      },
      ops,
      (plan) => {
        last = plan
        process[json ? 'stdout' : 'stderr'].write(
          json ? jsonLine(planJson(plan, place)) : planText(plan),
        )
        progress.begin(plan.bytes)
      },
    )
    const done = { restored, check, path: place.path, seconds: (monotonicMs() - beganMs) / 1000 }
    process.stdout.write(json ? jsonLine(restoredJson(done)) : restoredText(done))
    if (existsSync(`${place.path}-walcast`)) process.stderr.write(nodeText(place.path))
    return 0
  } catch (error) {
    throw withOwnCure(error)
  } finally {
    progress.end()
    await replaced.unlock()
    await unlock()
  }
}

/** Throws RESTORE_UNSOUND. */
async function checked(side: string, plan: PlannedRestore | undefined): Promise<IntegrityCheck> {
  const check = await checkIntegrity(side)
  if (check.outcome !== 'unsound') return check
  const detail = shown(check.problems.join(', '))
  throw new WalcastError('RESTORE_UNSOUND', { txid: plan?.target.txid ?? 0, detail })
}

/** The catalogue's cures for these are for a node. */
function withOwnCure(error: unknown): unknown {
  if (!(error instanceof WalcastError)) return error
  const { key, message } = error
  const again = 'then give the same command again: it goes on where it was'
  const cures: Partial<Record<typeof key, string>> = {
    DISK_FULL: `free some space, or restore to another disk with --to; ${again}`,
    WRITE_FAILED: 'check the disk, and that you may write to that folder',
    ALREADY_RUNNING: `stop that node, ${again}`,
  }
  const cure = cures[key]
  return cure === undefined ? error : new WalcastError(key, { message, cure }, error)
}

function isUrl(place: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//.test(place)
}
