/** The options by what they are about, for whoever looks through them. */
import { BACKUP_OPTIONS } from './backupOptions.ts'
import { COPY_OPTIONS } from './copyOptions.ts'
import { CROWD_OPTIONS } from './crowdOptions.ts'
import { ELECTION_OPTIONS } from './electionOptions.ts'
import { FEED_OPTIONS } from './feedOptions.ts'
import type { OptionSpec } from './optionSpec.ts'
import { PROXY_OPTIONS } from './proxyOptions.ts'
import { LEADERSHIP_OPTIONS, ROLE_OPTIONS } from './roleOptions.ts'
import { TLS_OPTIONS } from './tlsOptions.ts'
import { UPSTREAM_OPTIONS } from './upstreamOptions.ts'

/** The group of all that is in no other. */
const REST = 'Node'

const GROUPS: readonly (readonly [string, readonly OptionSpec[]])[] = [
  ['TLS', TLS_OPTIONS],
  ['Leadership', [...ROLE_OPTIONS, ...LEADERSHIP_OPTIONS]],
  ['Automatic failover', ELECTION_OPTIONS],
  ['Capture and feed', FEED_OPTIONS],
  ['Copy', COPY_OPTIONS],
  ['Backup', BACKUP_OPTIONS],
  ['Application', UPSTREAM_OPTIONS],
  ['Requests', PROXY_OPTIONS],
  ['Many clients', CROWD_OPTIONS],
]

const GROUP_OF = new Map(
  GROUPS.flatMap(([group, specs]) => specs.map(({ flag }) => [flag, group] as const)),
)

/** In the order in which they are shown; options of the program come last. */
export const OPTION_GROUPS: readonly string[] = [REST, ...GROUPS.map(([group]) => group)]

export function groupOf(flag: string): string {
  return GROUP_OF.get(flag) ?? REST
}
