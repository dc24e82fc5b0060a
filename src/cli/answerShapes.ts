/** The parts of nodes' answers that commands read. Each answer is checked before it is used. */

import { FAILED_READ_OUTCOMES } from '../api/failedReads.ts'
import { SWITCHOVER_STAGES } from '../api/roleAnswers.ts'
import { STAGES } from '../replica/lag.ts'
import { TOKEN_ROLES } from '../security/token.ts'
import { ARCHIVE_PLACE, SNAPSHOTS } from './backupShapes.ts'
import { ELECTION } from './electionShapes.ts'
import {
  count,
  fields,
  flag,
  listOf,
  mapOf,
  nullable,
  oneOf,
  real,
  type Shape,
  text,
} from './shape.ts'

export const ROLE = oneOf(['leader', 'replica', 'standby'])
const PLACE = fields({ node: text, address: text })
const POSITION = fields({ epoch: count, txid: count })
const CAUSE = fields({ code: text, text })

/** Actions and outcomes are any text, since a newer node may have more. */
export const ENTRY = fields(
  {
    at: text,
    node: text,
    action: text,
    outcome: text,
    role: ROLE,
    epoch: count,
    txid: count,
    by: text,
  },
  { detail: text },
)

/** `GET /_walcast/audit`. */
export const AUDIT = fields({ entries: listOf(ENTRY) })

/** `GET /_walcast/archive/objects`. */
export const LISTED_OBJECTS = fields(
  { place: text, objects: listOf(fields({ name: text, bytes: count })), isMore: flag },
  { listing: text },
)

/** `POST /_walcast/archive/note`. */
export const NEW_NOTE = fields({ isNew: flag })

const REPLICA = fields(
  {
    node: text,
    address: text,
    txid: nullable(count),
    lagMs: real,
    connected: flag,
    state: text,
    lastSeen: text,
  },
  { via: text },
)

const SCRUB_REPORT = fields(
  { background: flag, rotten: listOf(count), rottenPages: count },
  { lastPassAt: text, running: fields({ page: count, pages: count }) },
)

const KEPT = fields(
  { name: text, position: text },
  { rows: fields({ removed: count, changed: count }), state: text, detail: text, isDamaged: flag },
)

const FAILED_READS = fields({
  ...Object.fromEntries(FAILED_READ_OUTCOMES.map((outcome) => [outcome, count])),
  paths: listOf(fields({ path: text, count })),
})

const APPLICATION = fields({ url: text, state: text, accepts: flag, held: count }, { detail: text })

/** What a status tells of one database. */
const DATABASE_STATUS = [
  {
    db: text,
    role: ROLE,
    state: text,
    epoch: count,
    txid: count,
    checksum: text,
    pageSize: count,
    pages: count,
    walBytes: count,
    leader: text,
    replicas: listOf(REPLICA),
    lag: fields({ lagMs: real, connected: flag }),
    causes: listOf(CAUSE),
  },
  {
    follows: text,
    walFileBytes: count,
    roleSince: text,
    sync: fields({ remaining: count, total: count }),
    putBack: fields({ at: text, position: text, reason: text }),
    diverged: listOf(KEPT),
    backup: fields({ places: listOf(ARCHIVE_PLACE) }),
    snapshots: SNAPSHOTS,
    scrub: SCRUB_REPORT,
    lastError: fields({ code: text, message: text }),
  },
] as const

/** A pause of role changes. */
export const PAUSE = fields({ since: text, until: text, by: text, reason: text })

/** `GET /_walcast/status`. An older node has no `databases`. */
export const STATUS = fields(
  { node: text, version: text, ...DATABASE_STATUS[0] },
  {
    ...DATABASE_STATUS[1],
    cluster: text,
    databases: mapOf(fields(...DATABASE_STATUS)),
    members: listOf(PLACE),
    application: APPLICATION,
    failedReads: FAILED_READS,
    election: ELECTION,
    paused: PAUSE,
    audit: listOf(ENTRY),
  },
)

/** Of `GET /_walcast/status`: which node it is, and which others it knows. */
export const MEMBERS = fields({ node: text }, { members: listOf(PLACE) })

const PERCENTILES = { p50Ms: real, p95Ms: real, p99Ms: real, maxMs: real }

const DATABASE_LAG = {
  role: ROLE,
  connected: flag,
  txid: count,
  leaderTxid: count,
  txidLag: real,
  bytesLag: real,
  lagMs: real,
  windowSeconds: real,
  count,
  causes: listOf(CAUSE),
  ...PERCENTILES,
  stages: fields(Object.fromEntries(STAGES.map((stage) => [stage, fields(PERCENTILES)]))),
}

/** `GET /_walcast/lag`. An older node has no `databases`. */
export const LAG = fields(DATABASE_LAG, { databases: mapOf(fields(DATABASE_LAG)) })

const LOST = fields({ transactions: nullable(count), detail: text })

/** `POST /_walcast/promote`. */
export const PROMOTED = fields({
  node: text,
  address: text,
  epoch: count,
  txid: count,
  from: POSITION,
  reasons: listOf(text),
  lost: nullable(LOST),
  oldLeader: nullable(
    fields(
      { node: text, address: text, outcome: oneOf(['demoted', 'unreachable', 'refused']) },
      { detail: text },
    ),
  ),
  unheard: listOf(PLACE),
  tookMs: real,
})

/** `POST /_walcast/demote`. */
export const DEMOTED = fields({
  node: text,
  role: ROLE,
  epoch: count,
  txid: count,
  leader: text,
  tookMs: real,
})

/** `POST /_walcast/switchover`. */
export const SWITCHED = fields({
  from: PLACE,
  to: PLACE,
  epoch: count,
  txid: count,
  pauseMs: real,
  heldWrites: count,
  stages: fields(Object.fromEntries(SWITCHOVER_STAGES.map((stage) => [`${stage}Ms`, real]))),
  tookMs: real,
})

const MEMBER = fields(
  { node: text, address: text, reached: flag },
  { role: ROLE, epoch: count, txid: count },
)

/** `GET /_walcast/fitness`. */
export const FITNESS = fields({
  node: text,
  address: text,
  role: ROLE,
  epoch: count,
  txid: count,
  fit: flag,
  reasons: listOf(text),
  members: listOf(MEMBER),
})

/** `POST /_walcast/scrub`. */
export const SCRUBBED = fields({
  node: text,
  role: ROLE,
  pageSize: count,
  pagesRead: count,
  direct: flag,
  whole: flag,
  rotten: listOf(count),
  rottenPages: count,
  unexplained: count,
  seconds: real,
})

/** `GET /_walcast/positions`. */
export const POSITIONS = fields({
  node: text,
  cluster: text,
  state: text,
  pageSize: count,
  positions: listOf(fields({ epoch: count, txid: count, checksum: text })),
})

/** `DELETE /_walcast/replicas`. */
export const FORGOTTEN: Shape = fields({ forgotten: text })

const TOKEN = {
  id: text,
  role: oneOf(TOKEN_ROLES),
  note: text,
  created: text,
  expires: nullable(text),
}

/** `GET /_walcast/tokens`. */
export const TOKENS = fields({
  tokens: listOf(fields(TOKEN)),
  revoked: listOf(fields({ id: text, revoked: text })),
})

/** `POST /_walcast/tokens`. */
/** `POST /_walcast/pair`. */
export const PAIRED = fields({ code: text, id: text, node: text, address: text, expiresMs: count })

export const CREATED_TOKEN = fields({ ...TOKEN, token: text })

/** `DELETE /_walcast/tokens`. */
export const REVOKED_TOKEN = fields({ revoked: text, known: flag })

const TOLD = listOf(fields({ node: text, address: text, knows: flag, detail: nullable(text) }))

/** `POST /_walcast/secret/rotate`. */
export const ROTATED_SECRET = fields({ id: text, older: listOf(text), ends: text, members: TOLD })

/** `POST /_walcast/key/rotate`. */
export const ROTATED_KEY = fields({
  id: text,
  older: listOf(text),
  members: TOLD,
  wrapped: nullable(count),
  detail: nullable(text),
})

/** `POST` and `DELETE /_walcast/pause`. */
export const PAUSED = fields({ paused: nullable(PAUSE), members: TOLD })

/** `DELETE /_walcast/members`. */
export const REMOVED = fields({ removed: text, keys: listOf(text), members: TOLD })

/** `POST /_walcast/leave`. */
export const LEFT = fields({
  node: text,
  cluster: text,
  told: nullable(text),
  db: text,
  epoch: count,
  txid: count,
})

/** `GET /leader`. */
export const LEADER: Shape = fields({ role: ROLE, address: text })
