/** Options of the archive that a node writes. */
import { DEFAULT_KEEP } from './keepPolicy.ts'
import { BOTH, type OptionSpec } from './optionSpec.ts'

export const BACKUP_OPTIONS: readonly OptionSpec[] = [
  {
    key: 'backup',
    flag: 'backup',
    kind: 'places',
    value: 'PLACES',
    help:
      'where every position of the database is archived, comma-separated: folders, or ' +
      's3://BUCKET/PREFIX',
    roles: BOTH,
    common: true,
  },
  {
    key: 'backupOn',
    flag: 'backup-on',
    kind: 'backupOn',
    value: 'WHICH',
    help:
      'which node archives: a replica, and the leader while none does (replica), the leader ' +
      '(leader), or each node with this option (this)',
    default: 'replica',
    needs: 'backup',
    roles: BOTH,
    common: true,
  },
  {
    key: 'keep',
    flag: 'keep',
    kind: 'keep',
    value: 'POLICY',
    help:
      'what of the archive stays restorable for how long: every position of a week, then the ' +
      'last one of a day, then of a month; all keeps everything, and grows for ever',
    default: DEFAULT_KEEP,
    needs: 'backup',
    roles: BOTH,
    common: true,
  },
  {
    key: 'backupRecipients',
    flag: 'backup-recipients',
    kind: 'path',
    value: 'FILE',
    help:
      'file of recipients, of walcast backup-key, for whom the archive is encrypted; this node ' +
      'cannot read it then',
    needs: 'backup',
    roles: BOTH,
  },
  {
    key: 'backupEveryMs',
    flag: 'backup-every',
    kind: 'duration',
    value: 'TIME',
    help: 'time from one file of the archive to the next while there are commits',
    default: '500ms',
    least: '50ms',
    needs: 'backup',
    roles: BOTH,
  },
  {
    key: 'keepEveryMs',
    flag: 'keep-every',
    kind: 'duration',
    value: 'TIME',
    help: 'pause between two rounds that merge files of the archive and remove what --keep lets go',
    default: '60s',
    least: '1s',
    needs: 'backup',
    roles: BOTH,
  },
  {
    key: 'backupLogBytes',
    flag: 'backup-log',
    kind: 'bytes',
    value: 'SIZE',
    help:
      'batches kept beside the database for places that cannot be written to; past it a place ' +
      'goes on with a snapshot',
    default: '1GiB',
    least: '64MiB',
    needs: 'backup',
    roles: BOTH,
  },
  {
    key: 'backupQueueBytes',
    flag: 'backup-queue',
    kind: 'bytes',
    value: 'SIZE',
    help: 'batches in memory that are not in that log yet',
    default: '64MiB',
    least: '8MiB',
    needs: 'backup',
    roles: BOTH,
  },
  {
    key: 'backupAlertMs',
    flag: 'backup-alert',
    kind: 'duration',
    value: 'TIME',
    help: 'a commit that a place lacks for longer counts as an archive that stands still',
    default: '60s',
    least: '1s',
    needs: 'backup',
    roles: BOTH,
  },
  {
    key: 'drill',
    flag: 'drill',
    kind: 'schedule',
    value: 'WHEN',
    help:
      'when the node that archives restores the newest position of each place, to prove it: a ' +
      'cron expression in local time, daily (at a time that comes from its id) or off',
    default: 'daily',
    needs: 'backup',
    roles: BOTH,
  },
  {
    key: 'drillCheck',
    flag: 'drill-check',
    kind: 'query',
    value: 'SQL',
    help: 'a query that must give one row that begins with 1, or the drill fails',
    needs: 'backup',
    roles: BOTH,
  },
  {
    key: 'drillRate',
    flag: 'drill-rate',
    kind: 'bytes',
    value: 'SIZE',
    help: 'bytes that a drill reads of an archive in a second',
    default: '32MiB',
    least: '64KiB',
    needs: 'backup',
    roles: BOTH,
  },
  {
    key: 'drillReserve',
    flag: 'drill-reserve',
    kind: 'bytes',
    value: 'SIZE',
    help:
      'room that a drill leaves on the disk of the database, and a restore at the console on its ' +
      'own; without it they fail',
    default: '1GiB',
    needs: 'backup',
    roles: BOTH,
  },
  {
    key: 'restoreTo',
    flag: 'restore-to',
    kind: 'path',
    value: 'FOLDER',
    help:
      'where the node puts databases that the console restores, and nowhere else; unset: ' +
      'restored/ in the folder of the node',
    roles: BOTH,
  },
  {
    key: 'snapshotEveryMs',
    flag: 'snapshot-every',
    kind: 'duration',
    value: 'TIME',
    help:
      'makes a dated snapshot of the database in --snapshot-to so often, unless nothing was ' +
      'committed: a database under gzip, which needs no walcast',
    least: '1s',
    roles: BOTH,
  },
  {
    key: 'snapshotTo',
    flag: 'snapshot-to',
    kind: 'place',
    value: 'PLACE',
    help: 'where dated snapshots go: a folder, or s3://BUCKET/PREFIX',
    roles: BOTH,
  },
  {
    key: 'snapshotKeep',
    flag: 'snapshot-keep',
    kind: 'keep',
    value: 'POLICY',
    help:
      'which dated snapshots stay: a number of the newest, and as in --keep the last one of each ' +
      'hour, day or month up to an age, such as 96,30d:daily',
    default: '96',
    needs: 'snapshotTo',
    roles: BOTH,
  },
]
