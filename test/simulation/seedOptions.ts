import type { SimulationOptions } from './world.ts'

/** What tests and `run.ts` have in common, so that a seed means the same to both. */
export const OF_A_SEED: Omit<SimulationOptions, 'seed' | 'hasMoves' | 'hasElection'> = {
  nodes: 3,
  seconds: 10,
  hasFaults: true,
}

/** Of nodes that fail over by themselves: each failover takes a TTL. */
export const OF_A_LEASED_SEED: typeof OF_A_SEED = { ...OF_A_SEED, seconds: 25 }
