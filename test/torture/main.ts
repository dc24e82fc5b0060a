/**
 * Torture: rounds of random shapes, limits, writers, hostile checkpoints and faults until the time
 * is up, each ended by the proof that leader and replicas are equal and every invariant held in all
 * readers. Not part of `npm test`.
 *
 *   scripts/torture [--seconds N] [--seed N] [--keep]
 *
 * A failed round prints its seed; `--seed` with it begins with the same round. `--keep` keeps the
 * files of a failure.
 */
import { runCampaign } from './campaign.ts'
import { runRound } from './round.ts'

await runCampaign(
  runRound,
  `scripts/torture [leadership|guest] [--seconds N] [--seed N] [--keep]

Random faults against real nodes until N seconds are over (default 120). Exit 0 when every round ended equal.
A quarter of them put the leader's state back or clone it: what replicas had is at the leader then, or kept aside.
leadership: random changes of leader, and leaders that die, freeze or are cut off, under clients of a bank.
guest: faults of nodes beside an application whose transactions read before they write; none may be refused.
`,
)
