/** The least role that a token must have, for each path of the private side. */
import type { FastifyInstance } from 'fastify'
import { NOTE_PATH, OBJECT_PATH, OBJECTS_PATH } from '../api/archiveObjects.ts'
import { ARCHIVIST_PATH } from '../api/archivist.ts'
import { AUDIT_PATH } from '../api/audit.ts'
import { BACKUP_PATH } from '../api/backupNow.ts'
import { BUNDLE_ROWS_PATH, BUNDLE_SQL_PATH, BUNDLES_PATH } from '../api/bundles.ts'
import { POSITIONS_PATH, SCRUB_PATH } from '../api/checks.ts'
import { CLUSTER_PATH } from '../api/clusterOverview.ts'
import { CONSOLE_EVENTS_PATH, SESSION_PATH } from '../api/consoleSession.ts'
import { LAG_HISTORY_PATH } from '../api/lagHistory.ts'
import {
  DEPARTURE_PATH,
  LEAVE_PATH,
  MEMBERS_PATH,
  REWRAP_PATH,
  ROTATE_KEY_PATH,
  ROTATE_SECRET_PATH,
} from '../api/membership.ts'
import { OPTIONS_PATH } from '../api/optionsInForce.ts'
import { JOIN_PATH, PAIR_PATH } from '../api/pairing.ts'
import {
  PAST_FILE_PATH,
  PAST_PATH,
  PAST_PLAN_PATH,
  PAST_QUERY_PATH,
  PAST_RESTORE_PATH,
} from '../api/past.ts'
import { AGREE_PATH, TAKE_OVER_PATH, TWIN_PATH } from '../api/roleActions.ts'
import {
  DEMOTE_PATH,
  FITNESS_PATH,
  PROMOTE_PATH,
  REPLICAS_PATH,
  SWITCHOVER_PATH,
} from '../api/roleAnswers.ts'
import { PAUSE_PATH } from '../api/rolePause.ts'
import { SETTLE_PATH } from '../api/settled.ts'
import { TOKENS_PATH } from '../api/tokens.ts'
import { TRUST_PATH } from '../api/trust.ts'
import { ASSET_PATHS } from '../console/assets.ts'
import { PROOF_PATH } from '../security/proof.ts'
import type { TokenRole } from '../security/token.ts'
import { HEALTH_PATHS } from './publicPaths.ts'

/** `public`: needs nothing. `node`: no token is enough, a key of the cluster must sign. */
export type Least = 'public' | TokenRole | 'node'

/** The console's page holds no data, and whoever logs in has no session yet. */
const PUBLIC: ReadonlySet<string> = new Set([
  ...HEALTH_PATHS,
  ...ASSET_PATHS,
  PROOF_PATH,
  JOIN_PATH,
  SESSION_PATH,
])

export const LEAST_ROLES: Readonly<Record<string, Least>> = {
  'GET /_walcast/status': 'read',
  'GET /_walcast/lag': 'read',
  [`GET ${LAG_HISTORY_PATH}`]: 'read',
  'GET /_walcast/wait': 'read',
  'GET /_walcast/events': 'read',
  [`GET ${CLUSTER_PATH}`]: 'read',
  [`GET ${OPTIONS_PATH}`]: 'read',
  [`GET ${CONSOLE_EVENTS_PATH}`]: 'read',
  [`GET ${POSITIONS_PATH}`]: 'read',
  [`GET ${AUDIT_PATH}`]: 'read',
  [`GET ${FITNESS_PATH}`]: 'read',
  [`GET ${BUNDLES_PATH}`]: 'read',
  [`GET ${SETTLE_PATH}`]: 'read',
  [`POST ${AUDIT_PATH}`]: 'operate',
  [`POST ${SCRUB_PATH}`]: 'operate',
  [`POST ${BACKUP_PATH}`]: 'operate',
  [`POST ${PROMOTE_PATH}`]: 'operate',
  [`POST ${DEMOTE_PATH}`]: 'operate',
  [`POST ${SWITCHOVER_PATH}`]: 'operate',
  [`DELETE ${REPLICAS_PATH}`]: 'operate',
  [`POST ${PAUSE_PATH}`]: 'operate',
  [`DELETE ${PAUSE_PATH}`]: 'operate',
  // An archive has all that the database has.
  [`GET ${OBJECTS_PATH}`]: 'operate',
  [`GET ${OBJECT_PATH}`]: 'operate',
  [`POST ${NOTE_PATH}`]: 'operate',
  [`DELETE ${NOTE_PATH}`]: 'operate',
  [`GET ${PAST_PATH}`]: 'operate',
  [`GET ${PAST_PLAN_PATH}`]: 'operate',
  [`GET ${PAST_RESTORE_PATH}`]: 'operate',
  [`GET ${PAST_FILE_PATH}`]: 'operate',
  [`POST ${PAST_QUERY_PATH}`]: 'operate',
  [`POST ${PAST_RESTORE_PATH}`]: 'operate',
  [`DELETE ${PAST_RESTORE_PATH}`]: 'operate',
  // So has a bundle what its node had.
  [`GET ${BUNDLE_ROWS_PATH}`]: 'operate',
  [`POST ${BUNDLE_SQL_PATH}`]: 'operate',
  [`DELETE ${BUNDLES_PATH}`]: 'operate',
  [`GET ${TOKENS_PATH}`]: 'admin',
  [`POST ${TOKENS_PATH}`]: 'admin',
  [`DELETE ${TOKENS_PATH}`]: 'admin',
  [`POST ${PAIR_PATH}`]: 'admin',
  [`POST ${ROTATE_SECRET_PATH}`]: 'admin',
  [`POST ${ROTATE_KEY_PATH}`]: 'admin',
  [`DELETE ${MEMBERS_PATH}`]: 'admin',
  [`POST ${LEAVE_PATH}`]: 'admin',
  [`POST ${DEPARTURE_PATH}`]: 'node',
  [`POST ${REWRAP_PATH}`]: 'node',
  [`POST ${TAKE_OVER_PATH}`]: 'node',
  [`POST ${TWIN_PATH}`]: 'node',
  [`POST ${AGREE_PATH}`]: 'node',
  [`POST ${TRUST_PATH}`]: 'node',
  [`POST ${ARCHIVIST_PATH}`]: 'node',
}

/** `route`: the path as the router knows it. Undefined for a route that is not in the table. */
export function leastRole(method: string, route: string): Least | undefined {
  if (PUBLIC.has(route)) return 'public'
  const key = `${method === 'HEAD' ? 'GET' : method} ${route}`
  return Object.hasOwn(LEAST_ROLES, key) ? LEAST_ROLES[key] : undefined
}

/** From here on a route that is not in the table cannot be added: that is a mistake in the code. */
export function requireLeastRoles(app: FastifyInstance): void {
  app.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat())
      if (leastRole(each, url) === undefined)
        throw new Error(`${each} ${url} is not in the table of least roles`)
  })
}
