/** What becomes of the application's requests, and how many of them wait. */
import type { TrafficMetrics, TrafficSizes } from '../proxy/trafficMetrics.ts'
import type { MetricsRegistry } from './metricsRegistry.ts'

export function applicationGauges(
  metrics: MetricsRegistry,
  traffic: TrafficSizes,
  events: { readonly size: number },
): void {
  const { intake, answers, bodies, acks, admission, crowd, watch } = traffic
  metrics.gauge('application_up', '1 while the application answers; 0 also without one', () =>
    watch.isUp ? 1 : 0,
  )
  metrics.gauge('application_held', 'Requests that wait for the application', () => watch.held)
  metrics.gauge(
    'application_held_ever',
    'Requests that had to wait for that',
    () => watch.heldTotal,
  )
  metrics.gauge('proxy_requests', 'Requests of clients under way', () => traffic.proxied)
  metrics.gauge('proxy_connections', 'Connections of clients', () => crowd.connections)
  metrics.gauge('proxy_upgrades', 'Upgraded connections of clients', () => crowd.upgraded)
  metrics.gauge(
    'requests_held',
    'Requests that wait for the leader, or for the start of this node',
    () => traffic.held,
  )
  metrics.gauge('writes_inside', 'Writes inside the application', () => admission.underWay)
  metrics.gauge('writes_held', 'Writes that wait while the leader hands over', () => admission.held)
  metrics.gauge('writes_held_ever', 'Writes that had to wait for that', () => admission.heldTotal)
  metrics.gauge('intake_requests', 'Requests of other nodes under way', () => intake.underWay)
  metrics.gauge(
    'kept_bodies_bytes',
    'Bodies kept so that they can be sent again',
    () => bodies.keptBytes,
  )
  metrics.gauge(
    'answers_remembered',
    'Answers to requests with an Idempotency-Key',
    () => answers.size,
  )
  metrics.gauge('answers_bytes', 'Bytes that they take, with heads and keys', () => answers.bytes)
  metrics.gauge('ack_waits', 'Answers that wait for replicas to hold a write', () => acks.waiting)
  metrics.gauge('event_streams', 'Listeners of events', () => events.size)
}

export function applicationMetrics(metrics: MetricsRegistry): TrafficMetrics {
  const proxied = metrics.labelled(
    'proxy_requests_total',
    'Requests at the proxy, by what they ask for: a read here, the leader, or the node itself',
    'route',
  )
  const refusedThere = metrics.labelled(
    'proxy_refused_total',
    'Requests at the proxy answered with an error of this node, by error',
    'error',
  )
  const forwarded = metrics.counter('forwarded_requests_total', 'Requests sent to the leader')
  const held = metrics.counter('held_requests_total', 'Requests that had to wait for the leader')
  const unknown = metrics.counter(
    'unknown_outcomes_total',
    'Forwarded requests whose outcome is unknown',
  )
  const stale = metrics.labelled(
    'stale_reads_total',
    'Reads that asked for more than was here in time, by what was done',
    'did',
  )
  const failed = metrics.labelled(
    'failed_reads_total',
    'Reads that the local application failed (--replay-on), by what became of them',
    'outcome',
  )
  const wait = metrics.histogram(
    'write_wait_seconds',
    'From the answer of the leader to its write being applied here',
  )
  const late = metrics.counter(
    'write_waits_failed_total',
    'Answers given before their write was applied here',
  )
  const pushedOut = metrics.labelled(
    'answers_pushed_out_total',
    'Answers forgotten before their time, by what was too large: their number or their size',
    'why',
  )
  const taken = metrics.counter('intake_requests_total', 'Requests of other nodes taken')
  const refused = metrics.labelled(
    'intake_refused_total',
    'Requests of other nodes refused, by error',
    'error',
  )
  const acks = metrics.labelled(
    'ack_total',
    'Waits for replicas to hold a write, by level and how they ended: ' +
      'only "reached" is a success',
    'level',
    'outcome',
  )
  const ackWait = metrics.histogram('ack_wait_seconds', 'How long they took, whatever came of them')
  return {
    onAckWait(level, outcome, waitMs) {
      acks.inc({ level, outcome })
      ackWait.observe(waitMs / 1000)
    },
    onProxied: (route) => proxied.inc({ route }),
    onProxyRefused: (error) => refusedThere.inc({ error }),
    onForwarded: () => forwarded.inc(),
    onHeld: () => held.inc(),
    onUnknown: () => unknown.inc(),
    onStaleRead: (did) => stale.inc({ did }),
    onFailedRead: (outcome) => failed.inc({ outcome }),
    onAnswerPushedOut: (why) => pushedOut.inc({ why }),
    onApplied: (waitMs) => (waitMs === undefined ? late.inc() : wait.observe(waitMs / 1000)),
    onIntake: (error) => (error === undefined ? taken.inc() : refused.inc({ error })),
  }
}
