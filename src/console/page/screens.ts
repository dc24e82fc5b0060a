/** The table of screens, in the order of the menu. */

import type { Screen } from './screen.ts'
import { backupsScreen } from './screens/backupsScreen.ts'
import { clusterScreen } from './screens/clusterScreen.ts'
import { databasesScreen } from './screens/databasesScreen.ts'
import { divergedScreen } from './screens/divergedScreen.ts'
import { lagScreen } from './screens/lagScreen.ts'
import { nodeScreen } from './screens/nodeScreen.ts'
import { settingsScreen } from './screens/settingsScreen.ts'
import { standbyScreen } from './screens/standbyScreen.ts'
import { timelineScreen } from './screens/timelineScreen.ts'
import type { ConsoleState } from './state.ts'

const SCREENS: readonly Screen[] = [
  standbyScreen,
  nodeScreen,
  clusterScreen,
  lagScreen,
  databasesScreen,
  backupsScreen,
  divergedScreen,
  timelineScreen,
  settingsScreen,
]

export function screensFor(state: ConsoleState): readonly Screen[] {
  return SCREENS.filter((screen) => screen.isFor?.(state) ?? true)
}

/** The first one that is for this node: what a visit without an address gets. */
export function screenFor(id: string, state: ConsoleState): Screen {
  const there = screensFor(state)
  return there.find((screen) => screen.id === id) ?? there[0] ?? nodeScreen
}
