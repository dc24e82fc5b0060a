/** How far a node is that brings its archive level, by what its status says. */
import type { NodeTarget } from './nodeTarget.ts'
import type { ProgressOutput } from './progressOutput.ts'
import { count, fields, flag, listOf, text } from './shape.ts'
import { StatusWatch } from './statusWatch.ts'

export interface ToldBackup {
  readonly backup?: {
    readonly places: readonly {
      readonly place: string
      readonly isArchiving: boolean
      readonly archivist?: string
      readonly snapshotWriting?: { readonly done: number; readonly total: number }
    }[]
  }
}

const TOLD = fields(
  {},
  {
    backup: fields({
      places: listOf(
        fields(
          { place: text, isArchiving: flag },
          { archivist: text, snapshotWriting: fields({ done: count, total: count }) },
        ),
      ),
    }),
  },
)

/** The function that it gives ends it. */
export function reportBackup(node: NodeTarget, output: ProgressOutput): () => void {
  const watch = new StatusWatch<ToldBackup>([node], TOLD, (_, told) => showBackup(told, output))
  return () => {
    watch.leave(node)
    output.end()
  }
}

/** Snapshots into several places count together. */
export function showBackup({ backup }: ToldBackup, output: ProgressOutput): void {
  const places = backup?.places ?? []
  const snapshots = places.flatMap(({ snapshotWriting }) => snapshotWriting ?? [])
  const done = snapshots.reduce((sum, each) => sum + each.done, 0)
  const total = snapshots.reduce((sum, each) => sum + each.total, 0)
  if (total > 0) output.show({ phase: 'writing the snapshot', done, total, unit: 'bytes' })
  else output.wait(waitText(places.find(({ isArchiving }) => !isArchiving)?.archivist))
}

function waitText(archivist: string | undefined): string {
  if (archivist === undefined) return 'waiting until every place has it'
  return `waiting for ${archivist}, which archives`
}
