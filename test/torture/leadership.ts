/**
 * Torture of leadership: rounds of random switchovers, deaths, freezes and cuts under clients of a
 * bank, until the time is up. Each round ends with a judgement of every answer that clients got.
 * Not part of `npm test`.
 *
 *   scripts/torture leadership [--seconds N] [--seed N] [--keep]
 */
import { runCampaign } from './campaign.ts'
import { runLeadershipRound } from './leadershipRound.ts'

await runCampaign(
  runLeadershipRound,
  `scripts/torture leadership [--seconds N] [--seed N] [--keep]

Random changes of leader, restored states and clones under load, for N seconds (default 120). Exit
code 0 when no round lost, doubled or reordered anything.
`,
)
