/** `walcast restore`: a database from an archive, as it was at any position that is there. */
import { Archive, type OnRead } from '../backup/archive.ts'
import { ArchiveRestore } from '../backup/archiveRestore.ts'
import { FollowedArchive } from '../backup/follow/followedArchive.ts'
import { HeldFiles } from '../backup/heldFiles.ts'
import type { BadPieces } from '../backup/historyPositions.ts'
import { ReplacedFile, type RestorePlace, restorePlace } from '../backup/replacedFile.ts'
import type { RestoreSteps } from '../backup/restore.ts'
import { clusterArchive } from '../backup/restoreTarget.ts'
import { pointNamed } from '../backup/retention/namedPoints.ts'
import { EndingStore } from '../backup/stores/endingStore.ts'
import { type FileOps, systemFileOps } from '../platform/fileOps.ts'
import { existsSync } from '../platform/files.ts'
import { setTimer } from '../platform/time.ts'
import { archivePlace, identityHelp } from './archivePlace.ts'
import { durationOf, parseFlags } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { ProgressOutput } from './progressOutput.ts'
import { jsonLine } from './queryCommand.ts'
import { ReadProgress } from './readProgress.ts'
import { everyOf, restoreFollowing } from './restoreFollow.ts'
import { restoreInto } from './restoreInto.ts'
import { lockPlace } from './restoreLocks.ts'
import { type RestoreMeans, runRestoreAt } from './restoreRun.ts'
import {
  dryText,
  nodeText,
  planJson,
  restoredJson,
  restoredText,
  unheldText,
  warningText,
} from './restoreText.ts'
import { usage } from './usage.ts'
import { POSITION_FLAGS, positionHelp, wantedWithPoint } from './wantedPosition.ts'

/** Writers of the application wait at most so long, plus the transaction itself. */
const HOLD_MS = 10_000
/** All is done and told by then. */
const LINGER_MS = 100

const HELP = `walcast restore --from PLACE --to FILE [options]
walcast restore --from PLACE --to FILE --follow [options]
walcast restore --from PLACE --into NODE [options]

Restores a database from an archive: the newest position, or any other one that the archive has.
Every checksum is verified on the way, and SQLite checks the database before it becomes FILE. A
restore that was interrupted goes on when you give the same command again.

With --follow FILE is kept current from the archive after that, until SIGINT or SIGTERM. Other
programs may read it meanwhile, and see one committed state after another. The same command later
goes on from where FILE is.

With --into the restored state becomes the next state of a running cluster: one transaction on the
leader's database, which replicas follow. The state before it gets a name in PLACE, and the command
that goes back is printed. Run it on the leader's machine.

  --from PLACE             the archive: the folder that has snapshots/ and changes/,
                           s3://BUCKET/PREFIX?region=REGION (docs/backup/s3.md), or a node that
                           archives: its URL, HOST:PORT or id, or the database file of a node on
                           this machine. Over an address it needs a token of the role operate or
                           the cluster secret
${identityHelp(23)}
  --to FILE                the database file to make
  --into NODE              the leader: its id, HOST:PORT or URL

Which position [the newest one]
${positionHelp(23)}
  --point NAME             the one that "walcast backups name" gave this name

  --force                  replace FILE if it is there. Only pages that differ are written. FILE
                           must not be open in any program
  --follow                 keep FILE current. With --force also when another program wrote to it
  --every TIME             with --follow: how often to look for new files, 100ms to 1h [1s]
  --hold TIME              with --into: how long writers wait, at most, for the archive to have
                           the state before [10s]
  --without-point          with --into: also when that state does not get into PLACE. With --force
                           the archive may be that of another cluster
  --db FILE                with --into: the database file of the node [the one of its id]
  --as-far-as-possible     when files are missing or damaged: the last position before them
  --no-integrity-check     do not run SQLite's integrity check, and take the database as it was
  --dry-run                only say what would be read and replaced
  --json                   print the plan and the result as JSON lines, and the progress as such
                           lines on standard error

"walcast backups --from PLACE" shows what an archive has.
`

export const FLAGS = {
  ...POSITION_FLAGS,
  help: { type: 'boolean' },
  json: { type: 'boolean' },
  from: { type: 'string' },
  identity: { type: 'string' },
  to: { type: 'string' },
  into: { type: 'string' },
  db: { type: 'string' },
  hold: { type: 'string' },
  'without-point': { type: 'boolean' },
  point: { type: 'string' },
  force: { type: 'boolean' },
  follow: { type: 'boolean' },
  every: { type: 'string' },
  'as-far-as-possible': { type: 'boolean' },
  'no-integrity-check': { type: 'boolean' },
  'dry-run': { type: 'boolean' },
} as const

/** What a file that is kept current cannot be. */
const PAST_FLAGS = ['at', 'txid', 'position', 'incarnation', 'point', 'dry-run'] as const

type Flags = ReturnType<typeof parseFlags<typeof FLAGS>>

export async function runRestore(
  args: readonly string[],
  ops: FileOps = systemFileOps,
  sizes: Pick<RestoreSteps, 'pendingBytes'> = {},
): Promise<number> {
  const flags = parseFlags(args, FLAGS)
  if (flags.help) {
    showHelp(HELP)
    return 0
  }
  const { from, to, into: node, point, json = false } = flags
  if (!from || !(to || node) || (to && node))
    throw usage('--from PLACE and either --to FILE or --into NODE are required')
  const given = wantedWithPoint(flags, point)
  requireOwnFlags(flags)
  const givenPlace = { flag: '--from', place: from, identity: flags.identity }
  const { store: asked, identities } = await archivePlace(givenPlace, ops)
  const ending = new AbortController()
  const store = flags.follow ? new EndingStore(asked, ending.signal) : asked
  const { cluster } = flags
  const named = point === undefined ? undefined : await pointNamed(store, point)
  const wanted = named ? { incarnation: named.incarnation, txid: named.txid, cluster } : given
  const progress = new ReadProgress(new ProgressOutput(json))
  const list = async (cluster: string | undefined, bad: BadPieces = new Map(), onRead?: OnRead) =>
    clusterArchive(
      await Archive.list(store, { identities, ...(onRead && { onRead }) }),
      cluster,
      bad,
    )
  const restoreOf = (isAsFarAsPossible: boolean) =>
    new ArchiveRestore({
      ...{ wanted, isAsFarAsPossible },
      list: (bad) => list(wanted.cluster, bad, progress.add),
      held: new HeldFiles(store, (error) => progress.say(unheldText(error))),
      onBad: (name, error) => progress.say(warningText(name, error)),
    })
  const run = restoreOf(flags['as-far-as-possible'] ?? false)
  const { force = false, 'dry-run': isDry = false, 'no-integrity-check': isUnchecked } = flags
  const means = { run, progress, isJson: json, isUnchecked: isUnchecked ?? false, ops, sizes }
  if (node) {
    const holdMs = durationOf('hold', flags.hold) ?? HOLD_MS
    const { db, identity, 'without-point': isWithoutPoint = false } = flags
    const order = {
      name: node,
      db,
      isForced: force,
      hasPoint: !isWithoutPoint,
      holdMs,
      store,
      list,
    }
    return restoreInto(order, means, isDry, { from, identity, cluster })
  }
  const folder = isUrl(from) ? undefined : from
  if (flags.follow) {
    const archive = new FollowedArchive(store, identities, cluster)
    const everyMs = everyOf(durationOf('every', flags.every))
    const order = { to: to ?? '', everyMs, isForced: force, folder, archive, ending }
    const code = await restoreFollowing({ ...order, newest: () => restoreOf(true) }, means)
    // A question that was given up may keep its connection open for minutes.
    setTimer(() => process.exit(), LINGER_MS).unref()
    return code
  }
  const place = restorePlace(to ?? '', force || isDry, folder)
  if (isDry) {
    const plan = await run.plan()
    process.stdout.write(json ? jsonLine(planJson(plan, place)) : dryText(plan, place, force))
    return 0
  }
  return restoreTo(place, means)
}

async function restoreTo(place: RestorePlace, means: RestoreMeans): Promise<number> {
  const replaced = new ReplacedFile(place, means.ops)
  const done = await runRestoreAt(means, {
    path: place.path,
    isThere: place.isThere,
    ...(place.isThere && { base: place.path }),
    lock: () => lockPlace(place.path),
    approve: () => replaced.lock(),
    publish: (side) => replaced.replaceBy(side),
    end: () => replaced.unlock(),
  })
  process.stdout.write(means.isJson ? jsonLine(restoredJson(done)) : restoredText(done))
  if (existsSync(`${place.path}-walcast`)) process.stderr.write(nodeText(place.path))
  return 0
}

/** Throws USAGE for a flag that only goes with the other kind of target. */
function requireOwnFlags({ into, follow, ...flags }: Flags): void {
  const past = PAST_FLAGS.find((flag) => flags[flag])
  if (follow && (into || past))
    throw usage(`--follow keeps a file at the newest position: without --${past ?? 'into'}`)
  if (flags.every !== undefined && !follow) throw usage('--every goes with --follow')
  const foreign = (['db', 'hold', 'without-point'] as const).find((flag) => flags[flag])
  if (into === undefined && foreign) throw usage(`--${foreign} goes with --into`)
}

function isUrl(place: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//.test(place)
}
