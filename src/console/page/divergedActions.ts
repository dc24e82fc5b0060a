/** The end of a bundle of rows that a node kept aside. */
import { BUNDLES_PATH, type BundleInfo, type RemovedBundle } from '../../api/bundles.ts'
import { type Action, BY, line, type PlanLine } from './actions.ts'
import { shellWord } from './commandText.ts'
import { bytesText, plural } from './format.ts'
import { ask } from './requests.ts'

export function removeBundle(name: string): Action {
  return {
    title: 'Delete a bundle',
    does: `Removes the bundle ${name} from this node, with the rows in it, for ever.`,
    needs: 'operate',
    plan: async () => {
      const { bundle } = await removal(name, true)
      return {
        lines: lossLines(bundle),
        command: `walcast diverged delete ${shellWord(name)}`,
        accepts: 'It may be the last copy of these rows: I accept that they are lost.',
        button: 'Delete the bundle',
        isDangerous: true,
        run: async () => {
          await removal(name, false)
          return [line('good', `The bundle ${name} is gone.`)]
        },
      }
    },
  }
}

function removal(name: string, isDryRun: boolean): Promise<RemovedBundle> {
  const query = new URLSearchParams({ name, dryRun: String(isDryRun), by: BY })
  return ask<RemovedBundle>('DELETE', `${BUNDLES_PATH}?${query}`)
}

/** What is lost with a bundle, table by table. */
function lossLines({ rows, tables, tablesLeftOut, position, bytes }: BundleInfo): PlanLine[] {
  const head = line('quiet', `As this node stood at ${position}; ${bytesText(bytes)}.`)
  if (!rows) return [head, line('bad', 'Its rows were never compared: all of it is lost.')]
  const each = tables.map(({ table, removed, changed }) =>
    line('bad', `Table ${table}: ${lostRows(removed, changed)}.`),
  )
  const more =
    tablesLeftOut > 0 ? [line('bad', `And rows of ${plural(tablesLeftOut, 'table')}.`)] : []
  return [head, ...each, ...more]
}

/** What the leader lacked of some rows. */
export function lostRows(removed: number, changed: number): string {
  const parts = [
    removed > 0 && `${plural(removed, 'row')} that the leader lacked`,
    changed > 0 && `${plural(changed, 'row')} with other values there`,
  ]
  return parts.filter(Boolean).join(', ') || 'no rows'
}
