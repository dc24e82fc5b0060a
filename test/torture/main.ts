/**
 * Torture: rounds of random shapes, limits, writers, hostile checkpoints and faults, until the time
 * is up. Each round ends with the proof that leader and replicas are equal and that every invariant
 * held in all readers. Not part of `npm test`.
 *
 *   scripts/torture [--seconds N] [--seed N] [--keep]
 *
 * A failed round prints its seed; `--seed` starts with that round. `--keep` keeps the
 * files of a failure.
 */
import { runCampaign } from './campaign.ts'
import { runRound } from './round.ts'

await runCampaign(
  runRound,
  `scripts/torture [leadership|guest] [--seconds N] [--seed N] [--keep]

Random faults against real nodes, for N seconds (default 120). Exit code 0 when every round ended
with equal nodes. A quarter of the faults restore an older state of the leader or clone it: what
replicas had must then be at the leader or kept aside.

leadership  random changes of leader, and leaders that die, freeze or are cut off, under clients
guest       faults beside an application that reads before it writes: no transaction may be refused
`,
)
