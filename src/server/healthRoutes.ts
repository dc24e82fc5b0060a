/** What load balancers, collectors and other nodes ask without a secret. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { type Databases, onlyDatabase } from '../api/databases.ts'
import { lastLeader, type NodeRecord } from '../cluster/nodeRecord.ts'
import type { Metrics } from '../health/metrics.ts'
import { readinessAnswer } from '../proxy/answer.ts'
import type { Traffic } from '../proxy/traffic.ts'
import { PacedAnswer } from './pacedAnswer.ts'

/**
 * A collector that asks now and then gets metrics collected for it; a crowd of them shares one
 * collection a second.
 */
const METRICS_PACE = { free: 5, periodMs: 250, crowd: 20, crowdPeriodMs: 1000 } as const

export interface HealthParts {
  readonly metrics: Pick<Metrics, 'registry'>
  readonly databases: Databases
  readonly traffic: Pick<Traffic, 'intake' | 'admission' | 'watch' | 'application' | 'publicUrl'>
  /** Which process this node is, and how long it has been up. */
  readonly instance: { readonly id: string; readonly upMs: number }
  readonly trust: NodeTrust
  /** What the role file says. */
  record(): NodeRecord
  nowMs(): number
}

/** By what other nodes know this one, and what it knows of them. */
export interface NodeTrust {
  /** Digest of what this node knows of keys and members; '' while it knows nothing. */
  readonly digest: string
  /** Fingerprint of its key, 64 hex digits; '' while it has none. */
  readonly fingerprint: string
  /** Whether it takes plain text at --listen. */
  readonly takesPlainText: boolean
}

/** What the answer to `GET /leader` tells: the role alone, or all that other nodes go by. */
export type RoleTold = 'role' | 'all'

export function addHealthRoutes(
  app: FastifyInstance,
  parts: HealthParts,
  isStopping: () => boolean,
  told: RoleTold = 'all',
): void {
  const { registry } = parts.metrics
  const collected = new PacedAnswer(() => registry.metrics(), METRICS_PACE)
  const { view } = onlyDatabase(parts.databases)
  const answerRole = (reply: FastifyReply, has: boolean) => {
    const { isOk, body } = roleAnswer(parts, has && !isStopping())
    const { role, ready } = body
    return reply.code(isOk ? 200 : 503).send(told === 'all' ? body : { role, ready })
  }
  app.get('/livez', async () => ({ live: true }))
  app.get('/readyz', async (_request, reply) => {
    const { status, body } = readinessAnswer(view, isStopping())
    return reply.code(status).send(body)
  })
  app.get('/leader', async (_request, reply) => answerRole(reply, view.role() === 'leader'))
  app.get('/replica', async (_request, reply) => answerRole(reply, view.role() === 'replica'))
  app.get('/metrics', async (_request, reply) =>
    reply.type(registry.contentType).send(await collected.get()),
  )
}

/**
 * `has`: the node has the role that was asked for, and does not stop. A leader that starts counts:
 * its application may write. Other nodes wait until it is `ready` to tell the position of what they
 * forward.
 */
function roleAnswer(parts: HealthParts, has: boolean) {
  const { databases, traffic, instance, trust, record, nowMs } = parts
  const { intake, admission, application, publicUrl, watch } = traffic
  const { view } = onlyDatabase(databases)
  const { role, leader, epoch: positionEpoch, txid } = view.status()
  const known = record()
  const isPaused = role === 'leader' && admission.refuse() !== undefined
  const isWell = role !== 'leader' || application.unwellForLeading === undefined
  const taking = has && !intake.isStopping && !isPaused
  const body = {
    role,
    leader,
    ready: view.refuseReplicas() === undefined && !isPaused,
    taking,
    node: known.node,
    instance: instance.id,
    upMs: instance.upMs,
    cluster: known.cluster,
    // The epoch in the role file: that of the database may not be known yet.
    epoch: known.epoch,
    term: known.term,
    txid,
    positionEpoch,
    incarnation: view.incarnation(),
    history: view.history(),
    lastLeader: lastLeader(known),
    address: view.leaderAddress(),
    timeMs: nowMs(),
    trust: trust.digest,
    fingerprint: trust.fingerprint,
    plaintext: trust.takesPlainText,
    application: watch.standing(),
    ...(publicUrl ? { publicUrl } : {}),
  }
  return { isOk: taking && isWell, body }
}
