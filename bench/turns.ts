/**
 * Rounds in which systems take turns, A B A B: what changes on the machine meanwhile falls on all
 * of them.
 */
import { messageOf } from '../src/errors.ts'
import type { Context } from './suite.ts'
import type { System } from './system.ts'
import { walcast } from './systems/walcast.ts'

export interface Turns<Round> {
  readonly rounds: ReadonlyMap<System, readonly Round[]>
  /** Peers that did not keep up or failed, by name, with the reason. */
  readonly failed: ReadonlyMap<string, string>
}

/**
 * Measures every system once a round; each round begins with another system. A failing peer is left
 * out and named; walcast must not fail.
 */
export async function takeTurns<Round>(
  context: Context,
  label: string,
  systems: readonly System[],
  measure: (system: System) => Promise<Round>,
): Promise<Turns<Round>> {
  const rounds = new Map(systems.map((system) => [system, [] as Round[]]))
  const failed = new Map<string, string>()
  for (let i = 1; i <= context.options.rounds; i++) {
    const left = [...rounds]
    for (const [system, measured] of [
      ...left.slice(i % left.length),
      ...left.slice(0, i % left.length),
    ]) {
      context.progress(`${label}, round ${i}, ${system.name}`)
      try {
        measured.push(await measure(system))
      } catch (error) {
        if (system === walcast) throw error
        const reason = messageOf(error)
        context.progress(`${system.name} failed: ${reason}`)
        failed.set(system.name, `failed in round ${i}: ${reason.split('\n')[0]}`)
        rounds.delete(system)
        await context.processes.stopAll()
      }
    }
  }
  return { rounds, failed }
}
