/** One case of the suite, and how peers get theirs. */
import { messageOf } from '../../src/errors.ts'
import type { Spread } from '../arithmetic.ts'
import type { RestorePart } from '../options.ts'
import type { Context } from '../suite.ts'

export type Figures = Readonly<Record<string, number | Spread | undefined>>

/** One row of the result. Names of columns that begin with `aim` are what it should reach. */
export interface RestoreCase {
  readonly system: string
  readonly part: RestorePart
  readonly case: string
  readonly figures: Figures
  /** Whether contents were compared; null where there is nothing to compare. */
  readonly identical: boolean | null
  /** Why it was not measured. */
  readonly skipped?: string
}

/**
 * Of a peer by its name: nothing when it was not asked for, and the reason when it cannot run here
 * or fails. `measure` compares contents.
 */
export async function peerCases(
  context: Context,
  system: string,
  part: RestorePart,
  name: string,
  measure: () => Promise<Figures>,
): Promise<RestoreCase[]> {
  const about = { system, part, case: name }
  const without = (skipped: string) => [{ ...about, figures: {}, identical: null, skipped }]
  const reason = context.skipped.get(system)
  if (reason !== undefined) return without(reason)
  if (!context.systems.some((each) => each.name === system)) return []
  context.progress(`restore: ${part}, ${system}, ${name}`)
  try {
    return [{ ...about, figures: await measure(), identical: true }]
  } catch (error) {
    const message = messageOf(error)
    context.progress(`${system} failed: ${message}`)
    await context.processes.stopAll()
    return without(`failed: ${message.split('\n')[0]}`)
  }
}
