/** Options of a replica's copy: how it is received, kept and checkpointed. */
import { type OptionSpec, REPLICA } from './optionSpec.ts'

export const COPY_OPTIONS: readonly OptionSpec[] = [
  {
    key: 'maxQueuedBytes',
    flag: 'max-queued',
    kind: 'bytes',
    value: 'SIZE',
    help: 'bytes received and not yet applied before reading stops',
    default: '8MiB',
    roles: REPLICA,
  },
  {
    key: 'replicaWalBytes',
    flag: 'replica-wal',
    kind: 'bytes',
    value: 'SIZE',
    help: "size of the copy's WAL above which it is checkpointed",
    default: '4MiB',
    roles: REPLICA,
  },
  {
    key: 'lockTimeoutMs',
    flag: 'lock-timeout',
    kind: 'duration',
    value: 'TIME',
    help: 'how long to wait at start for another writer of the copy',
    default: '10s',
    roles: REPLICA,
  },
  {
    key: 'copyMode',
    flag: 'copy-mode',
    kind: 'fileMode',
    value: 'MODE',
    help:
      'who may read the copy, as for chmod: 0640 lets the group (default: never more than the ' +
      "leader's file)",
    roles: REPLICA,
    common: true,
  },
  {
    key: 'reconnectMaxMs',
    flag: 'reconnect-max',
    kind: 'duration',
    value: 'TIME',
    help: 'longest pause between two attempts to reach the leader',
    default: '1s',
    roles: REPLICA,
  },
  {
    key: 'maxDiverged',
    flag: 'max-diverged',
    kind: 'number',
    value: 'N',
    help:
      'bundles of rows kept aside because the leader may lack them; the oldest go when there ' +
      'are more, 0 keeps none',
    default: '16',
    roles: REPLICA,
  },
  {
    key: 'maxDivergedBytes',
    flag: 'max-diverged-bytes',
    kind: 'bytes',
    value: 'SIZE',
    help:
      'size of all bundles kept aside; the oldest go when they are larger, the newest stays ' +
      'whatever its size',
    default: '1GiB',
    roles: REPLICA,
  },
  {
    key: 'idleMs',
    flag: 'idle',
    kind: 'duration',
    value: 'TIME',
    help: "quiet time after which the copy's WAL is emptied",
    default: '1s',
    roles: REPLICA,
  },
]
