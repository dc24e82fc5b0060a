/**
 * Torture of leadership: rounds of random switchovers, deaths, freezes and cuts under clients of a
 * bank until the time is up, each ended by the judgement of all that the clients were told. Not
 * part of `npm test`.
 *
 *   scripts/torture leadership [--seconds N] [--seed N] [--keep]
 */
import { runCampaign } from './campaign.ts'
import { runLeadershipRound } from './leadershipRound.ts'

await runCampaign(
  runLeadershipRound,
  `scripts/torture leadership [--seconds N] [--seed N] [--keep]

Random changes of leader, states put back and clones under load until N seconds are over (default 120). Exit 0 when no round lost, doubled or reordered anything.
`,
)
