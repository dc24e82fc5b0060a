/** `walcast restore --into NODE`, as a person or a program sees it. */
import type { PlannedRestore } from '../backup/archiveRestore.ts'
import { positionText } from '../backup/restoreTarget.ts'
import { removeLeftovers, sideOf } from '../backup/sideFile.ts'
import { keyOf, messageOf } from '../errors.ts'
import { removeAside, statSync } from '../platform/files.ts'
import { type Committed, IntoNode, type IntoOrder } from './intoNode.ts'
import { formatBytes, jsonLine, shown } from './queryCommand.ts'
import { lockBeside } from './restoreLocks.ts'
import { type RestoreMeans, runRestoreAt } from './restoreRun.ts'
import { checkText, type DoneRestore, planJson, positionJson, textOf } from './restoreText.ts'
import { unstopped } from './unstopped.ts'

/** What the command that goes back needs too. */
export interface GivenFlags {
  readonly from: string
  readonly identity: string | undefined
  readonly cluster: string | undefined
}

/** Gives the exit code. Throws as `runRestoreAt` and `IntoNode` do. */
export async function restoreInto(
  order: IntoOrder,
  means: RestoreMeans,
  isDry: boolean,
  given: GivenFlags,
): Promise<number> {
  const { isJson, run } = means
  const into = await IntoNode.find(order)
  const { db: path } = into.here
  const plan = await run.plan()
  await into.requireFit(plan)
  const write = (text: string, json: object) => process.stdout.write(isJson ? jsonLine(json) : text)
  if (await into.isAt(plan.target)) {
    write(alreadyText(into, plan), { event: 'already', ...positionJson(plan.target) })
    return 0
  }
  const place = { path, isThere: true }
  if (isDry) {
    write(dryText(into, plan), { ...Object(planJson(plan, place)), node: into.here.status.node })
    return 0
  }
  const committed: Committed[] = []
  const done = await runRestoreAt(means, {
    ...place,
    lock: () => lockBeside(path),
    approve: async (side) => into.requireRoom(statSync(side).size),
    publish: async (side) => {
      const say = (text: string) => !isJson && process.stderr.write(text)
      say(TAKING)
      let isAborted = false
      try {
        const commit = () => into.commit(side, positionText(plan.target), () => say(HOLDING))
        committed.push(await unstopped(commit, () => process.stderr.write(NOT_STOPPED)))
      } catch (error) {
        isAborted = keyOf(error) === 'INTO_ABORTED'
        throw error
      } finally {
        if (!isAborted) await removeUsed(path)
      }
    },
    isUsedUp: true,
    end: async () => {},
  })
  const [made] = committed
  const isOwn = plan.target.head.cluster === into.here.status.cluster
  const back = isOwn ? backCommand(order, made, given) : undefined
  write(committedText(done, made, back), committedJson(done, made, back))
  return 0
}

/** What was done stands: a failure is told on standard error. */
async function removeUsed(path: string): Promise<void> {
  try {
    await removeAside(sideOf(path))
    removeLeftovers(path)
  } catch (error) {
    const text = `what the restore left beside the database is still there: ${messageOf(error)}`
    process.stderr.write(`${shown(text)}\n`)
  }
}

const NOT_STOPPED =
  'not stopped: writers would wait for as long; Ctrl-C ends it, and changes nothing\n'
const TAKING = 'taking the write lock of the database\n'
const HOLDING = 'writers wait now: the archive gets the state before, and the leader the new one\n'

function alreadyText({ here }: IntoNode, { target }: PlannedRestore): string {
  return textOf([`${here.status.node} is at ${positionText(target)} already: nothing to do`])
}

function dryText({ here }: IntoNode, { target, files, bytes }: PlannedRestore): string {
  const { node, epoch, txid, pages, pageSize } = here.status
  return textOf([
    `would restore ${positionText(target)} into ${node}, the leader, which is at ${epoch}-${txid}`,
    `${here.db} has ${pages} pages (${formatBytes(pages * pageSize)}); all pages of the restored ` +
      'state would be one transaction',
    `would read ${files.length} ${files.length === 1 ? 'file' : 'files'}, ${formatBytes(bytes)}`,
  ])
}

function committedText(
  { restored, check, seconds }: DoneRestore,
  made: Committed,
  back: string | undefined,
) {
  const { node, now, heldSeconds } = made
  const { pages, pageSize } = restored
  return textOf([
    `${node} has the state of ${positionText(restored)} since its position ${now}`,
    `one transaction of ${pages} pages of ${pageSize} bytes (${formatBytes(pages * pageSize)}); ` +
      `integrity check: ${checkText(check)}`,
    `took ${seconds.toFixed(1)} s, of which writers waited ${heldSeconds.toFixed(1)} s`,
    ...wayBackText(made, back),
  ])
}

/** Without `back` the archive is of another cluster, with another state at that position. */
function wayBackText({ before, point }: Committed, back: string | undefined): string[] {
  if (back === undefined)
    return [
      `the state before was ${before} of the cluster of the node, which this archive does not ` +
        'have; an archive of that cluster may',
    ]
  const kept =
    point === undefined
      ? `was ${before}, and has no name in the archive; as long as it is there, go back with:`
      : `is ${before}, kept as ${point}; go back with:`
  return [`the state before ${kept}`, `  ${back}`]
}

function committedJson(
  { restored, check, seconds }: DoneRestore,
  made: Committed,
  back: string | undefined,
) {
  const { pages, pageSize } = restored
  const { node, before, point, now, heldSeconds } = made
  return {
    event: 'committed',
    node,
    ...positionJson(restored),
    ...{ committedAs: now, before, point: point ?? null, back: back ?? null },
    ...{ pages, pageSize, integrityCheck: check?.outcome ?? 'not run', seconds, heldSeconds },
  }
}

/** The command as it is typed. */
function backCommand({ db }: IntoOrder, made: Committed, given: GivenFlags): string {
  const { from, identity, cluster } = given
  const flags: readonly (readonly [string, string | undefined])[] = [
    ...([
      ['from', from],
      ['identity', identity],
      ['cluster', cluster],
    ] as const),
    ...([
      ['position', made.before],
      ['into', made.node],
      ['db', db],
    ] as const),
  ]
  const words = flags.flatMap(([flag, value]) =>
    value === undefined ? [] : [`--${flag}`, quoted(value)],
  )
  return ['walcast restore', ...words].join(' ')
}

/** For a shell, where it needs quotes. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
