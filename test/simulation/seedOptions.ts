import type { SimulationOptions } from './world.ts'

/** What tests and `run.ts` have in common, so that a seed means the same to both. */
export const OF_A_SEED: Omit<SimulationOptions, 'seed' | 'hasMoves'> = {
  nodes: 3,
  seconds: 10,
  hasFaults: true,
}
