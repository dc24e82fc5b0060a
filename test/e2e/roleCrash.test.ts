/**
 * A node dies in a role change, at one step of writing its role. The campaign has each step.
 */
import { promotionCrashes, type RoleStep, switchoverCrashes } from '../campaigns/roleCrashes.ts'
import { labTest } from '../support/lab.ts'

/** The role is written and synced, and not yet in its place. */
const SAMPLE: readonly RoleStep[] = [{ op: 'role.rename', count: 1 }]

labTest('a switchover survives a death in the middle of writing a role', (lab, t) =>
  switchoverCrashes(lab, t, SAMPLE),
)

labTest('a promotion survives a death in the middle of writing the role', (lab, t) =>
  promotionCrashes(lab, t, SAMPLE),
)
