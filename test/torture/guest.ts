/**
 * Torture beside an application whose transactions read before they write, with faults of the
 * nodes. None of its transactions is refused, and readers of another user see every commit. Not
 * part of `npm test`. Options: see main.ts.
 */
import { runCampaign } from './campaign.ts'
import { runGuestRound } from './guestRound.ts'

await runCampaign(
  runGuestRound,
  `scripts/torture guest [--seconds N] [--seed N] [--keep]

Nodes die, stop, freeze and are cut off, beside an application whose transactions read before they
write, for N seconds (default 120). Exit code 0 when no transaction was refused and every round
ended with equal nodes.
`,
)
