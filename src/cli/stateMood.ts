/** Which states of a node are good. */
import { AWAY } from '../api/clusterOverview.ts'
import type { Mood } from './terminalLook.ts'

const GOOD: readonly string[] = ['capturing', 'streaming']
const BAD: readonly string[] = [AWAY, 'stopped', 'closed']

/** All other states pass by themselves: a node connects, copies or compares. */
export function moodOf(state: string): Mood {
  if (GOOD.includes(state)) return 'good'
  return BAD.includes(state) ? 'bad' : 'busy'
}
