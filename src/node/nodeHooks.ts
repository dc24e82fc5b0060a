import type { NodeSetup } from '../database/engine.ts'
import type { NoticeMetrics } from '../health/metrics.ts'
import { RoleHooks } from '../notify/roleHooks.ts'
import { nodeUrl } from '../options/address.ts'
import { type ClusterSecrets, webhookKeyOf } from '../security/clusterSecrets.ts'

/**
 * Tells the operator of changes of the node's role by a command or a webhook, as the options say.
 * Without such an option it does nothing. `db`: path of the database file. `scheme`: of the node's
 * URL.
 */
export function roleHooksOf(
  { options, log }: NodeSetup,
  secrets: ClusterSecrets,
  db: string,
  { onHookDropped: onDropped }: NoticeMetrics,
  scheme: 'http' | 'https',
): RoleHooks {
  return new RoleHooks({
    command: options.onRoleChange,
    webhook: options.webhook,
    timeoutMs: options.hookTimeoutMs,
    webhookKey: () => webhookKeyOf(secrets),
    db,
    nodeUrl: nodeUrl(options.listen, scheme),
    log,
    onDropped,
    environment: process.env,
  })
}
