/** Prometheus metrics, prefix `walcast_`, in a registry of their own. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { CAUSE_CODES } from '../api/cause.ts'
import type { NodeView, ScrubReport } from '../api/nodeView.ts'
import type { PositionWaits } from '../api/positionWaits.ts'
import type { LeaderObserver } from '../leader/leaderOptions.ts'
import { systemClock } from '../platform/clock.ts'
import { wallMs } from '../platform/time.ts'
import type { Cut } from '../proxy/connectionBudget.ts'
import type { TrafficMetrics, TrafficSizes } from '../proxy/trafficMetrics.ts'
import type { ReplicaObserver } from '../replica/replicaOptions.ts'

const SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
]

export type LeaderMetrics = Pick<LeaderObserver, 'onBatch' | 'onPass' | 'onUnverified'>
export type FeedMetrics = Pick<LeaderObserver, 'onSent' | 'onBadMessage'>
export type ReplicaMetrics = Omit<
  ReplicaObserver,
  'onFatal' | 'onLeaderAt' | 'onLeaderStopping' | 'onMember' | 'onMoved'
>

export interface ScrubMetrics {
  onPass(): void
  onChecked(pages: number): void
  onRotten(pages: number): void
  onRepaired(pages: number): void
}

/** Hears of what an operator was to be told and was not. */
export interface NoticeMetrics {
  /** A change of role was left out of what a hook is told. */
  onHookDropped(hook: 'command' | 'webhook'): void
  /** An entry did not get into the audit log. */
  onAuditDropped(): void
}

export class Metrics {
  readonly registry = new Registry()
  #refused: Counter<'error'> | undefined

  /** `withDefaults` adds those of the process; for a daemon, not for a library. */
  constructor(withDefaults: boolean) {
    if (withDefaults)
      collectDefaultMetrics({
        register: this.registry,
        prefix: 'walcast_',
        eventLoopMonitoringPrecision: 1000,
      })
  }

  /** Gauges read from the node when they are asked for. */
  observe(view: NodeView, waits: PositionWaits): void {
    const gauge = (name: string, help: string, read: () => number) => this.#gauge(name, help, read)
    gauge('epoch', 'Leadership term', () => view.status().epoch)
    gauge(
      'txid',
      'Last transaction captured (leader) or applied (replica)',
      () => view.status().txid,
    )
    gauge('database_pages', 'Size of the database in pages', () => view.status().pages)
    gauge('wal_bytes', 'Published bytes of the WAL', () => view.status().walBytes)
    gauge('wal_file_bytes', 'Size of the WAL file', () => view.status().walFileBytes)
    gauge('is_leader', '1 on a leader', () => (view.status().role === 'leader' ? 1 : 0))
    gauge('ready', '1 when the node can serve', () => (view.notReady().length === 0 ? 1 : 0))
    gauge(
      'replicas_connected',
      'Replicas connected to this node',
      () => view.status().replicas.filter((replica) => replica.connected).length,
    )
    gauge('waits', 'Requests that wait for a position', () => waits.size)
    gauge('history_bytes', 'Recent batches kept in memory', () => view.queues().historyBytes)
    gauge(
      'send_buffered_bytes',
      'Bytes handed to replicas and not yet taken by the network',
      () => view.queues().bufferedBytes,
    )
    gauge(
      'receive_queued_bytes',
      'Bytes received and not yet applied',
      () => view.queues().queuedBytes,
    )
    gauge(
      'lag_seconds',
      'Time since this replica was level, 0 when it is',
      () => view.status().lag.lagMs / 1000,
    )
    gauge(
      'lag_transactions',
      'Transactions of the leader that are not applied here',
      () => view.status().lag.txidLag,
    )
    gauge(
      'diverged_kept',
      'Bundles of rows kept aside because the leader may lack them',
      () => view.status().diverged?.length ?? 0,
    )
    gauge(
      'sync_pages_remaining',
      'Pages still to come in a copy or comparison',
      () => view.status().sync?.remaining ?? 0,
    )
    this.#observeCauses(view)
  }

  #observeCauses(view: NodeView): void {
    new Gauge({
      name: 'walcast_cause',
      help: '1 while this explains lag or a WAL that grows',
      labelNames: ['code'],
      registers: [this.registry],
      collect() {
        const now = new Set(view.status().causes.map(({ code }) => code))
        for (const code of CAUSE_CODES) this.set({ code }, now.has(code) ? 1 : 0)
      },
    })
  }

  /** Gauges of the application's requests. */
  observeTraffic(traffic: TrafficSizes, events: { readonly size: number }): void {
    const { intake, answers, bodies, acks, admission, crowd, watch } = traffic
    this.#gauge('application_up', '1 while the application answers; 0 also without one', () =>
      watch.isUp ? 1 : 0,
    )
    this.#gauge('application_held', 'Requests that wait for the application', () => watch.held)
    this.#gauge(
      'application_held_ever',
      'Requests that had to wait for that',
      () => watch.heldTotal,
    )
    this.#gauge('proxy_requests', 'Requests of clients under way', () => traffic.proxied)
    this.#gauge('proxy_connections', 'Connections of clients', () => crowd.connections)
    this.#gauge('proxy_upgrades', 'Upgraded connections of clients', () => crowd.upgraded)
    this.#gauge(
      'requests_held',
      'Requests that wait for the leader, or for the start of this node',
      () => traffic.held,
    )
    this.#gauge('writes_inside', 'Writes inside the application', () => admission.underWay)
    this.#gauge('writes_held', 'Writes that wait while the leader hands over', () => admission.held)
    this.#gauge('writes_held_ever', 'Writes that had to wait for that', () => admission.heldTotal)
    this.#gauge('intake_requests', 'Requests of other nodes under way', () => intake.underWay)
    this.#gauge(
      'kept_bodies_bytes',
      'Bodies kept so that they can be sent again',
      () => bodies.keptBytes,
    )
    this.#gauge(
      'answers_remembered',
      'Answers to requests with an Idempotency-Key',
      () => answers.size,
    )
    this.#gauge('answers_bytes', 'Bytes that they take, with heads and keys', () => answers.bytes)
    this.#gauge('ack_waits', 'Answers that wait for replicas to hold a write', () => acks.waiting)
    this.#gauge('event_streams', 'Listeners of events', () => events.size)
  }

  traffic(): TrafficMetrics {
    const proxied = this.#labelled(
      'proxy_requests_total',
      'Requests at the proxy, by what their method and path ask for: a read here, the leader, or the node itself',
      'route',
    )
    const refusedThere = this.#labelled(
      'proxy_refused_total',
      'Requests at the proxy answered with an error of this node, by error',
    )
    const forwarded = this.#counter('forwarded_requests_total', 'Requests sent to the leader')
    const held = this.#counter('held_requests_total', 'Requests that had to wait for the leader')
    const unknown = this.#counter(
      'unknown_outcomes_total',
      'Forwarded requests whose outcome is unknown',
    )
    const stale = this.#labelled(
      'stale_reads_total',
      'Reads that asked for more than was here in time, by what was done',
      'did',
    )
    const failed = this.#labelled(
      'failed_reads_total',
      'Reads that the local application failed (--replay-on), by what became of them',
      'outcome',
    )
    const wait = this.#histogram(
      'write_wait_seconds',
      'From the answer of the leader to its write being applied here',
    )
    const late = this.#counter(
      'write_waits_failed_total',
      'Answers given before their write was applied here',
    )
    const pushedOut = this.#labelled(
      'answers_pushed_out_total',
      'Answers forgotten before their time, by what there was too much of: their number or their size',
      'why',
    )
    const taken = this.#counter('intake_requests_total', 'Requests of other nodes taken')
    const refused = this.#labelled(
      'intake_refused_total',
      'Requests of other nodes refused, by error',
    )
    const acks = new Counter({
      name: 'walcast_ack_total',
      help: 'Waits for replicas to hold a write, by level and how they ended: only "reached" is a success',
      labelNames: ['level', 'outcome'],
      registers: [this.registry],
    })
    const ackWait = this.#histogram('ack_wait_seconds', 'How long they took, whatever came of them')
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

  /**
   * Hears of connections that ended before their clients wanted it. `side`: `proxy` or `listen`.
   */
  onCut(side: 'proxy' | 'listen'): (why: Cut) => void {
    const name = 'connections_cut_total'
    const known = this.#known<Counter<'side' | 'why'>>(name)
    const cut =
      known ??
      new Counter({
        name: `walcast_${name}`,
        help: 'Connections ended because their client kept the node waiting, or because there was no room',
        labelNames: ['side', 'why'],
        registers: [this.registry],
      })
    return (why) => cut.inc({ side, why })
  }

  leader(): LeaderMetrics {
    const captured = this.#counter('capture_transactions_total', 'Transactions captured')
    const frames = this.#counter('capture_frames_total', 'WAL frames read and verified')
    const unverified = this.#counter(
      'capture_unverified_frames_total',
      'WAL frames that an old SQLite published without checksums, read as the wal-index publishes them',
    )
    const pages = this.#counter(
      'capture_pages_total',
      'Page images sent on: the newest of each page in a batch',
    )
    const batches = this.#counter('capture_batches_total', 'Messages encoded')
    const batchBytes = this.#counter('capture_bytes_total', 'Bytes encoded, once for all replicas')
    const capture = this.#histogram(
      'capture_seconds',
      'From the wake for a commit to its batch being handed to all replicas',
    )
    const passes = this.#counter('checkpoints_total', 'Checkpoints run')
    const backfilled = this.#counter('checkpoint_frames_total', 'Frames backfilled')
    const pause = this.#histogram(
      'checkpoint_pause_seconds',
      'How long writers were stopped for a checkpoint',
    )
    const duration = this.#histogram('checkpoint_seconds', 'Duration of checkpoints')
    const yields = this.#counter(
      'checkpoint_yields_total',
      'Times the write lock was let go of at once because another process was reading',
    )
    return {
      onBatch(batch) {
        capture.observe(Math.max(0, systemClock.nowMs() - batch.noticeMs) / 1000)
        captured.inc(batch.transactions)
        frames.inc(batch.frames)
        pages.inc(batch.pageNumbers.length)
        batches.inc()
        batchBytes.inc(batch.message.length)
      },
      onUnverified: (count) => unverified.inc(count),
      onPass(pass) {
        passes.inc()
        backfilled.inc(pass.backfilledFrames)
        duration.observe(pass.durationMs / 1000)
        if (pass.pauseMs > 0) pause.observe(pass.pauseMs / 1000)
        if (pass.yielded) yields.inc()
      },
    }
  }

  /** Of whatever feeds replicas. */
  feed(): FeedMetrics {
    const sent = this.#counter('send_bytes_total', 'Bytes handed to all replicas')
    const refused = this.#refusedMessages()
    return { onSent: (bytes) => sent.inc(bytes), onBadMessage: (error) => refused.inc({ error }) }
  }

  replica(): ReplicaMetrics {
    const received = this.#counter('receive_bytes_total', 'Payload bytes received')
    const batches = this.#counter('apply_batches_total', 'Batches made visible')
    const pages = this.#counter('apply_pages_total', 'Pages of batches made visible')
    const apply = this.#histogram(
      'apply_seconds',
      'From the last byte of a batch to its being visible',
    )
    const visible = this.#histogram(
      'visible_lag_seconds',
      "From the leader's notice of a commit to its being visible here",
    )
    const passes = this.#counter('checkpoints_total', 'Checkpoints run')
    const pause = this.#histogram(
      'checkpoint_pause_seconds',
      'How long applying was paused for a checkpoint',
    )
    const durable = this.#histogram(
      'durable_sync_seconds',
      'Duration of the syncs of the copy that somebody waited for',
    )
    const connects = this.#counter('connects_total', 'Connections to the leader that were welcomed')
    const disconnects = this.#labelled(
      'disconnects_total',
      'Connections to the leader that ended, by error',
    )
    const refused = this.#refusedMessages()
    const syncs = this.#counter('syncs_total', 'Copies and comparisons finished')
    const strays = this.#counter(
      'stray_writes_total',
      'Times something else was found to have written to the copy',
    )
    const dropped = this.#labelled(
      'diverged_dropped_total',
      'Bundles kept aside that were thrown away because there were too many or they were too large',
      'kind',
    )
    return {
      onConnected: () => connects.inc(),
      onReceived: (bytes) => received.inc(bytes),
      onApplied(batch) {
        batches.inc()
        pages.inc(batch.pages)
        apply.observe(batch.applyMs / 1000)
        visible.observe(batch.lagMs / 1000)
      },
      onCheckpoint(checkpoint) {
        passes.inc()
        pause.observe(checkpoint.pauseMs / 1000)
      },
      onDurable: (syncMs) => durable.observe(syncMs / 1000),
      onDisconnected: (error) => disconnects.inc({ error }),
      onRefused: (error) => refused.inc({ error }),
      onSynced: () => syncs.inc(),
      onStray: () => strays.inc(),
      onKeptDropped: (kind) => dropped.inc({ kind }),
    }
  }

  /** To be called with each new role of the node. */
  onRole(role: string): void {
    this.#labelled('role_changes_total', 'Changes of role, by the new one', 'role').inc({ role })
  }

  notices(): NoticeMetrics {
    const hooks = this.#labelled(
      'hook_notices_dropped_total',
      'Changes of role that a hook was not told of: too many waited, or the node stopped',
      'hook',
    )
    const audit = this.#counter(
      'audit_entries_dropped_total',
      'Entries that the audit log lacks: the disk did not take them',
    )
    return { onHookDropped: (hook) => hooks.inc({ hook }), onAuditDropped: () => audit.inc() }
  }

  scrub(): ScrubMetrics {
    const passes = this.#counter(
      'scrub_passes_total',
      'Times every page was read from the disk and compared',
    )
    const pages = this.#counter('scrub_pages_total', 'Pages read from the disk and compared')
    const rotten = this.#counter(
      'scrub_mismatches_total',
      'Rotten pages found: not what was written',
    )
    const repaired = this.#counter('scrub_repaired_total', 'Rotten pages that are right again')
    return {
      onPass: () => passes.inc(),
      onChecked: (count) => pages.inc(count),
      onRotten: (count) => rotten.inc(count),
      onRepaired: (count) => repaired.inc(count),
    }
  }

  observeScrub(report: () => ScrubReport): void {
    this.#gauge('scrub_unexplained', 'Pages known to be wrong now', () => report().unexplained)
    this.#gauge(
      'scrub_age_seconds',
      'Time since every page was compared; since the start before that',
      () => {
        const { lastPassAt } = report()
        return lastPassAt === undefined
          ? process.uptime()
          : (wallMs() - Date.parse(lastPassAt)) / 1000
      },
    )
  }

  /** Of replicas and of what this node follows. */
  #refusedMessages(): Counter<'error'> {
    this.#refused ??= this.#labelled(
      'refused_messages_total',
      'Messages and batches refused, by error',
    )
    return this.#refused
  }

  /** A node that changes its role goes on counting. */
  #known<M>(name: string): M | undefined {
    return this.registry.getSingleMetric(`walcast_${name}`) as M | undefined
  }

  #counter(name: string, help: string): Counter {
    const known = this.#known<Counter>(name)
    return known ?? new Counter({ name: `walcast_${name}`, help, registers: [this.registry] })
  }

  #gauge(name: string, help: string, read: () => number): void {
    // Read from whatever has taken the place of what it was read from.
    this.registry.removeSingleMetric(`walcast_${name}`)
    new Gauge({
      name: `walcast_${name}`,
      help,
      registers: [this.registry],
      collect() {
        this.set(read())
      },
    })
  }

  /** Values of the label are bounded: keys of the error catalogue unless another label is named. */
  #labelled<Label extends string = 'error'>(
    name: string,
    help: string,
    label?: Label,
  ): Counter<Label> {
    const known = this.#known<Counter<Label>>(name)
    if (known) return known
    return new Counter<Label>({
      name: `walcast_${name}`,
      help,
      labelNames: [label ?? ('error' as Label)],
      registers: [this.registry],
    })
  }

  #histogram(name: string, help: string): Histogram {
    const known = this.#known<Histogram>(name)
    return (
      known ??
      new Histogram({ name: `walcast_${name}`, help, buckets: SECONDS, registers: [this.registry] })
    )
  }
}
