/** The paths that anyone may ask, and what asking them tells of the asker. */
import type { IncomingHttpHeaders } from 'node:http'
import { NODE_AGENT } from '../cluster/peerCalls.ts'

/** Load balancers and collectors ask these paths without a secret. */
export const HEALTH_PATHS: ReadonlySet<string> = new Set([
  '/livez',
  '/readyz',
  '/leader',
  '/replica',
  '/metrics',
])
/** Whoever asks these paths learns the node's role. */
const TELLS_ROLE = new Set(['/leader', '/replica', '/_walcast/status', '/_walcast/events'])

/** Whether the application may have asked for this node's role. `path`: without query. */
export function isRoleQuestion(path: string, headers: IncomingHttpHeaders): boolean {
  const isAnotherNode = headers['user-agent'] === NODE_AGENT['user-agent']
  return TELLS_ROLE.has(path) && !isAnotherNode
}
