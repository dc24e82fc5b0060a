import type { NodeSetup } from '../database/engine.ts'
import type { NoticeMetrics } from '../health/metrics.ts'
import { RoleHooks } from '../notify/roleHooks.ts'
import { nodeUrl } from '../options/address.ts'

/**
 * What the operator wants to be told of the changes of a node's role; nothing when no option says
 * so. `db`: path of the database file.
 */
export function roleHooksOf(
  { options, secret, log }: NodeSetup,
  db: string,
  { onHookDropped: onDropped }: NoticeMetrics,
): RoleHooks {
  return new RoleHooks({
    command: options.onRoleChange,
    webhook: options.webhook,
    timeoutMs: options.hookTimeoutMs,
    secret,
    db,
    nodeUrl: nodeUrl(options.listen),
    log,
    onDropped,
    environment: process.env,
  })
}
