/** How the node fares, in a word and the colour that goes with it. Pure. */
import type { ClusterNode } from '../../api/clusterOverview.ts'
import type { NodeRole } from '../../api/roleAnswers.ts'
import type { ConsoleState } from './state.ts'

export type Tone = 'good' | 'warn' | 'bad' | 'quiet'

export interface Health {
  readonly tone: Tone
  readonly word: string
}

export function healthOf({ link, status, session }: ConsoleState): Health {
  if (link.is === 'away') return { tone: 'bad', word: 'no answer' }
  if (session === null) return { tone: 'quiet', word: 'not logged in' }
  if (!status) return { tone: 'quiet', word: 'connecting' }
  if (status.role !== 'leader' && !status.lag.connected) return { tone: 'bad', word: 'leader away' }
  if (status.causes.length > 0) return { tone: 'warn', word: 'needs attention' }
  return { tone: 'good', word: 'all well' }
}

/** The tone of a role's badge. */
export function roleTone(role: NodeRole): Tone {
  return role === 'leader' ? 'good' : 'quiet'
}

/** A lag from which on a replica needs attention, ms. */
const LATE_MS = 1000

/** How a node of the cluster fares, as the asked one sees it. */
export function toneOfNode({ isReachable, causes, lagMs }: ClusterNode): Tone {
  if (!isReachable) return 'bad'
  return causes.length > 0 || (lagMs ?? 0) >= LATE_MS ? 'warn' : 'good'
}
