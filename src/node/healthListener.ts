import type { Databases } from '../api/databases.ts'
import type { Instance } from '../cluster/instance.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { NodeSetup } from '../database/engine.ts'
import type { Metrics } from '../health/metrics.ts'
import { addressOf } from '../options/address.ts'
import type { Clock } from '../platform/clock.ts'
import { type Bounds, nodeConnections } from '../proxy/openFiles.ts'
import type { Traffic } from '../proxy/traffic.ts'
import type { HealthParts } from '../server/healthRoutes.ts'
import { HealthServer } from '../server/healthServer.ts'

export interface HealthListenerParts {
  readonly setup: NodeSetup
  readonly bounds: Bounds
  readonly clock: Clock
  readonly nodeFile: NodeFile
  readonly instance: Instance
  readonly databases: Databases
  readonly metrics: Metrics
  readonly trust: HealthParts['trust']
}

/** The listener of --health; undefined without that option. */
export function newHealthServer(
  parts: HealthListenerParts,
  traffic: Traffic,
  server: { readonly isStopping: boolean },
): HealthServer | undefined {
  const { setup, bounds, clock, nodeFile, metrics, instance, databases, trust } = parts
  const { options, log } = setup
  if (options.health === undefined) return undefined
  return new HealthServer({
    ...addressOf(options.health),
    limits: nodeConnections(options, bounds),
    log,
    metrics,
    databases,
    traffic,
    instance,
    trust,
    record: () => nodeFile.record,
    isStopping: () => server.isStopping,
    onRoleAsked: (remoteAddress) => traffic.events.emit('roleAsked', remoteAddress),
    onCut: metrics.onCut('health'),
    nowMs: () => clock.nowMs(),
  })
}
