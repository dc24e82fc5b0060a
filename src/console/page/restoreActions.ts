/** Restores of a moment of the past: to a file of the node's machine, or to be downloaded. */
import {
  PAST_PLAN_PATH,
  PAST_RESTORE_PATH,
  type PastPlan,
  type RestoreReport,
} from '../../api/past.ts'
import { type Action, BY, line, type Plan, type PlanLine } from './actions.ts'
import { nowMs } from './browser.ts'
import { shellWord } from './commandText.ts'
import { bytesText, isoText, plural } from './format.ts'
import { ask } from './requests.ts'

export interface PickedMoment {
  readonly place: string
  /** Which one of --backup, from 1. */
  readonly number: number
  /** A time in UTC, or `newest`. */
  readonly at: string
}

const MAX_NAMED = 5

/** `name`: of the file, in the node's folder for restored files. */
export function restoreToFile(picked: PickedMoment, name: string): Action {
  return {
    title: 'Restore to a file',
    does:
      'Makes a database file of that moment on the machine of this node. Every checksum is ' +
      'verified, and SQLite checks the database before it gets its name.',
    needs: 'operate',
    plan: async () => {
      const plan = await planOf(picked, name)
      const { path = name, replaces } = plan.target
      const force = replaces ? ' --force' : ''
      return {
        ...shared(plan, [
          replaces
            ? line('warn', `${path} is there, and is replaced.`)
            : line('quiet', `Makes ${path}, which only the user of the node may read.`),
        ]),
        command: `walcast restore ${sourceOf(plan)} --to ${shellWord(path)}${force}`,
        accepts: replaces ? `I accept that ${path} is replaced.` : undefined,
        button: hasRoom(plan) ? (replaces ? 'Replace' : 'Restore') : undefined,
        isDangerous: replaces,
        run: () => begun(picked, plan, { file: name, force: replaces }),
      }
    },
  }
}

export function downloadOf(picked: PickedMoment): Action {
  return {
    title: 'Download a restored database',
    does:
      'Restores that moment into a file of the node, which is verified, then sent to this ' +
      'browser and removed.',
    needs: 'operate',
    plan: async () => {
      const plan = await planOf(picked, undefined)
      return {
        ...shared(plan, [
          line('warn', 'Whoever has the file has all that the database had.'),
          line('quiet', 'The node keeps it for 10 minutes at most.'),
        ]),
        command: `walcast restore ${sourceOf(plan)} --to ${plan.position}.db`,
        button: hasRoom(plan) ? 'Prepare the download' : undefined,
        run: () => begun(picked, plan, {}),
      }
    },
  }
}

export function cancelOf({ id, position }: RestoreReport): Action {
  return {
    title: 'End this restore',
    does: 'Ends it, and removes what it has written so far.',
    needs: 'operate',
    plan: async () => ({
      lines: [line('quiet', `The restore of ${position} leaves nothing that is not whole.`)],
      command: undefined,
      button: 'End it',
      run: async () => {
        const query = new URLSearchParams({ id, by: BY })
        const path = `${PAST_RESTORE_PATH}?${query}`
        const { restore } = await ask<{ readonly restore: RestoreReport }>('DELETE', path)
        return [line('quiet', `It is ${restore.state}.`)]
      },
    }),
  }
}

function planOf({ number, at }: PickedMoment, name: string | undefined): Promise<PastPlan> {
  const query = new URLSearchParams({ place: String(number), at, by: BY })
  if (name !== undefined) query.set('file', name)
  return ask<PastPlan>('GET', `${PAST_PLAN_PATH}?${query}`)
}

/** The very position of the plan, whatever is archived meanwhile. */
async function begun(
  { number: place }: PickedMoment,
  { position: at, incarnation }: PastPlan,
  target: { readonly file?: string; readonly force?: boolean },
): Promise<readonly PlanLine[]> {
  const order = { place, at, incarnation, by: BY, ...target }
  await ask<{ readonly restore: RestoreReport }>('POST', PAST_RESTORE_PATH, order)
  return [
    line('good', 'It has begun. The top of this screen shows how far it is, and how it ends.'),
  ]
}

function shared(plan: PastPlan, more: readonly PlanLine[]): Pick<Plan, 'lines'> {
  const { position, at, isLast, bytes, fileCount, files, databaseBytes, target } = plan
  const named = files.slice(0, MAX_NAMED).map(({ name }) => name)
  const rest = fileCount > named.length ? ` and ${fileCount - named.length} more` : ''
  const { folder, freeBytes, reserveBytes } = target
  const room =
    `It takes up to ${bytesText(databaseBytes)} in ${folder}, where ${bytesText(freeBytes)} are ` +
    `free; ${bytesText(reserveBytes)} stay free (--drill-reserve).`
  return {
    lines: [
      line(
        'good',
        `Position ${position} of ${isoText(at, nowMs())}` +
          `${isLast ? ', the newest one that is archived' : ''}.`,
      ),
      line(
        'quiet',
        `Reads ${plural(fileCount, 'file')}, ${bytesText(bytes)}: ${named.join(', ')}${rest}.`,
      ),
      line(hasRoom(plan) ? 'quiet' : 'bad', room),
      ...more,
    ],
  }
}

function hasRoom({ databaseBytes, target }: PastPlan): boolean {
  return target.freeBytes - target.reserveBytes >= databaseBytes
}

function sourceOf({ place, position, incarnation }: PastPlan): string {
  return `--from ${shellWord(place)} --position ${position} --incarnation ${incarnation}`
}
