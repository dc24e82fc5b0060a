/**
 * A node that runs out of file descriptors can open neither its database nor a connection to
 * another node. So its bounds stay within the limit of the process (RLIMIT_NOFILE), which Node
 * raises as far as it may when it starts.
 */
import type { Logger } from 'pino'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { readFileSync } from '../platform/files.ts'
import type { ConnectionLimits } from './connectionBudget.ts'

/** For files, replication, the control socket, health, and all else that no client opens. */
const RESERVED = 512
/** Connections at the control socket, and at the health listener, out of what is reserved. */
export const CONTROL_CONNECTIONS = 16
export const HEALTH_CONNECTIONS = 64
/** Shares of the rest: clients, other nodes, and the application's side of both. */
const CLIENT_SHARE = 2 / 8
const NODE_SHARE = 2 / 8
const REQUEST_SHARE = 1 / 8
/** The least of each, however low the limit is. */
const MIN_OF_EACH = 16

export type Bounds = Pick<NodeOptions, 'maxConnections' | 'maxRequests' | 'maxUpgrades'> & {
  /** At the private side. */
  readonly maxNodeConnections: number
}

/** The limit of this process; Infinity where it cannot be told. */
export function openFilesLimit(path = '/proc/self/limits'): number {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync(path, 'latin1')) ?? []
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/**
 * The bounds that are wanted, lowered so that `openFiles` descriptors are enough when all of them
 * are filled.
 */
export function boundsWithin(
  openFiles: number,
  wanted: Pick<NodeOptions, 'maxConnections' | 'maxRequests' | 'maxUpgrades'>,
): Bounds {
  const free = openFiles - RESERVED
  const part = (share: number) => Math.max(MIN_OF_EACH, Math.floor(free * share))
  return {
    maxConnections: Math.min(wanted.maxConnections, part(CLIENT_SHARE)),
    maxNodeConnections: Math.min(wanted.maxConnections, part(NODE_SHARE)),
    // Each request may go to the application: once for clients, once for other nodes.
    maxRequests: Math.min(wanted.maxRequests, part(REQUEST_SHARE)),
    maxUpgrades: Math.min(wanted.maxUpgrades, part(REQUEST_SHARE)),
  }
}

/**
 * A node ends the request of a client that is still, and this node hears of it. It gives that node
 * the time to do so.
 */
const NODE_GRACE_MS = 5000

/** Bounds of the private side: its peers are nodes, each at one address. */
export function nodeConnections(
  { maxPipelined, bodyTimeoutMs, sendTimeoutMs }: NodeOptions,
  { maxNodeConnections }: Bounds,
): ConnectionLimits {
  return {
    maxConnections: maxNodeConnections,
    maxClientConnections: maxNodeConnections,
    maxPipelined,
    bodyTimeoutMs: bodyTimeoutMs + NODE_GRACE_MS,
    sendTimeoutMs: sendTimeoutMs + NODE_GRACE_MS,
  }
}

/** The bounds of this process. Logs what the limit lowers. */
export function ownBounds(options: NodeOptions, log: Logger): Bounds {
  const openFiles = openFilesLimit()
  const bounds = boundsWithin(openFiles, options)
  const { maxConnections, maxRequests, maxUpgrades } = bounds
  if (
    maxConnections < options.maxConnections ||
    maxRequests < options.maxRequests ||
    maxUpgrades < options.maxUpgrades
  )
    log.warn(
      { openFiles, maxConnections, maxRequests, maxUpgrades },
      'the limit of open files lowers these bounds; raise it (ulimit -n, LimitNOFILE of systemd)',
    )
  return bounds
}
