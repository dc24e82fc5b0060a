/**
 * Everything that can be set on a node, with its default. Flags, environment, file and help derive
 * from this table. Its order is that of the help.
 */

import { BACKUP_OPTIONS } from './backupOptions.ts'
import { COPY_OPTIONS } from './copyOptions.ts'
import { CROWD_OPTIONS } from './crowdOptions.ts'
import { ELECTION_OPTIONS } from './electionOptions.ts'
import { FEED_OPTIONS } from './feedOptions.ts'
import { BOTH, type OptionSpec, REPLICA } from './optionSpec.ts'
import { PROXY_OPTIONS } from './proxyOptions.ts'
import { LEADERSHIP_OPTIONS, ROLE_OPTIONS } from './roleOptions.ts'
import { TLS_OPTIONS } from './tlsOptions.ts'
import { UPSTREAM_OPTIONS } from './upstreamOptions.ts'

export const NODE_OPTIONS: readonly OptionSpec[] = [
  {
    key: 'db',
    flag: 'db',
    kind: 'path',
    value: 'FILE',
    help: 'the SQLite database file',
    required: true,
    roles: BOTH,
    common: true,
  },
  {
    key: 'leader',
    flag: 'leader',
    kind: 'address',
    value: 'HOST:PORT',
    help: 'address of the leader, or of a replica to be fed by',
    required: true,
    roles: REPLICA,
    common: true,
  },
  {
    key: 'listen',
    flag: 'listen',
    kind: 'address',
    value: 'HOST:PORT',
    help: 'address of the private side: replication, health, metrics, status',
    default: '127.0.0.1:8470',
    roles: BOTH,
    common: true,
  },
  {
    key: 'health',
    flag: 'health',
    kind: 'address',
    value: 'HOST:PORT',
    help:
      'address at which load balancers and Prometheus ask over plain HTTP, without a secret: ' +
      '/livez, /readyz, /leader, /replica, /metrics and nothing else',
    roles: BOTH,
    common: true,
  },
  {
    key: 'name',
    flag: 'name',
    kind: 'text',
    value: 'ID',
    help: 'id of this node; made once and kept when not given',
    roles: BOTH,
    common: true,
  },
  {
    key: 'advertise',
    flag: 'advertise',
    kind: 'address',
    value: 'HOST:PORT',
    help:
      'address at which other nodes reach this one (default: --listen; needed with 0.0.0.0 ' +
      'and [::])',
    roles: BOTH,
    common: true,
  },
  {
    key: 'standby',
    flag: 'standby',
    kind: 'flag',
    value: '',
    help: 'apply everything, serve no application traffic',
    roles: REPLICA,
    common: true,
  },
  {
    key: 'maxStalenessMs',
    flag: 'max-staleness',
    kind: 'duration',
    value: 'TIME',
    help: 'how long a replica may hear nothing of its leader and still be ready',
    default: '30s',
    roles: REPLICA,
    common: true,
  },
  ...TLS_OPTIONS,
  ...FEED_OPTIONS,
  ...COPY_OPTIONS,
  ...BACKUP_OPTIONS,
  {
    key: 'maxWaits',
    flag: 'max-waits',
    kind: 'number',
    value: 'N',
    help: 'requests that may wait for a position, and as many again for replicas to hold a write',
    default: '10000',
    roles: BOTH,
  },
  {
    key: 'maxWaitMs',
    flag: 'max-wait',
    kind: 'duration',
    value: 'TIME',
    help: 'longest wait for a position',
    default: '60s',
    roles: BOTH,
  },
  {
    key: 'drainMs',
    flag: 'drain',
    kind: 'duration',
    value: 'TIME',
    help: 'how long a stop may take',
    default: '10s',
    roles: BOTH,
  },
  {
    key: 'scrubRate',
    flag: 'scrub-rate',
    kind: 'bytes',
    value: 'SIZE',
    help:
      'bytes a second at which the file is read and compared with its checksums; 0 turns ' +
      'that off',
    default: '4MiB',
    least: '64KiB',
    zeroIsOff: true,
    roles: BOTH,
    common: true,
  },
  {
    key: 'scrubEveryMs',
    flag: 'scrub-every',
    kind: 'duration',
    value: 'TIME',
    help:
      'time from the start of one such reading to the start of the next; the first begins ' +
      'within 5 minutes',
    default: '24h',
    roles: BOTH,
  },
  ...ROLE_OPTIONS,
  ...ELECTION_OPTIONS,
  ...UPSTREAM_OPTIONS,
  ...PROXY_OPTIONS,
  ...CROWD_OPTIONS,
  ...LEADERSHIP_OPTIONS,
]
