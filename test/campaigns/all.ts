/**
 * npm run campaigns: what tests of test/e2e do a few times, many times, each function with its own
 * count.
 */
import { test } from 'node:test'
import { labTest } from '../support/lab.ts'
import { startNotes } from '../support/notesCluster.ts'
import { campaignRuns, campaignSteps } from '../support/propertyRuns.ts'
import { APPLY_STEPS, applyCrashes } from './applyCrashes.ts'
import { ARCHIVE_STEPS, archiveCrashes } from './archiveCrashes.ts'
import { ARCHIVE_FAULTS, archiveDisks } from './archiveDisks.ts'
import { archiveRestarts } from './archiveRestarts.ts'
import { failovers } from './failovers.ts'
import { JOIN_CRASHES, joinCrashes } from './joinCrashes.ts'
import { KEEPING_STEPS, keptRowCrashes } from './keptRowCrashes.ts'
import { leaderRestarts } from './leaderRestarts.ts'
import { ownWrites } from './ownWrites.ts'
import { REOPENED, reopenedCopies, reopenedInRestarts } from './reopenedCopies.ts'
import { COMMANDS, rogueCommands } from './rogueCommands.ts'
import { promotionCrashes, ROLE_STEPS, switchoverCrashes } from './roleCrashes.ts'

const LEADER_RESTARTS = campaignRuns(40)
labTest(`${LEADER_RESTARTS} leader restarts under a writer keep almost nothing aside`, (lab, t) =>
  leaderRestarts(lab, t, LEADER_RESTARTS),
)

labTest('a replica killed at any step of the apply comes back intact', (lab) =>
  applyCrashes(lab, campaignSteps(APPLY_STEPS)),
)

labTest('a replica killed at any step of keeping rows aside loses none of them', (lab, t) =>
  keptRowCrashes(lab, t, campaignSteps(KEEPING_STEPS)),
)

labTest('a switchover survives a death at each step of writing a role', (lab, t) =>
  switchoverCrashes(lab, t, ROLE_STEPS),
)

labTest('a promotion survives a death at each step of writing the role', (lab, t) =>
  promotionCrashes(lab, t, ROLE_STEPS),
)

const OPENINGS = campaignRuns(20_000)
for (const [state, options] of Object.entries(REOPENED))
  labTest(`${OPENINGS} openings of a copy without an error while it is ${state}`, (lab) =>
    reopenedCopies(lab, options, OPENINGS),
  )

labTest('another user can reopen the copy without errors over three restarts of its node', (lab) =>
  reopenedInRestarts(lab, 3),
)

const WRITES = campaignRuns(2000)
labTest(`${WRITES} writes are read at once where they were sent`, async (lab) =>
  ownWrites(lab, await startNotes(lab), WRITES),
)

labTest('no command gives a stranger a secret, a signature or its question', (lab) =>
  rogueCommands(lab, () => COMMANDS),
)

labTest('a host killed or out of room at any step of a join joins with the same command', (lab) =>
  joinCrashes(lab, campaignSteps(JOIN_CRASHES)),
)

labTest('a node killed at any step of archiving leaves everything restorable', (lab) =>
  archiveCrashes(lab, campaignSteps(ARCHIVE_STEPS)),
)

labTest('whatever disk fails, an archive tells it and is level afterwards', (lab) =>
  archiveDisks(lab, campaignSteps(ARCHIVE_FAULTS)),
)

const ARCHIVE_RESTARTS = campaignRuns(20)
labTest(`${ARCHIVE_RESTARTS} restarts of a node that archives need one snapshot`, (lab, t) =>
  archiveRestarts(lab, t, ARCHIVE_RESTARTS),
)

const PARTITIONS = campaignRuns(1000)
test(`${PARTITIONS} simulated partitions make no two leaders and lose nothing`, (t) =>
  failovers(t, PARTITIONS))
