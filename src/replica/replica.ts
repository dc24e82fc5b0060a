/**
 * The engine of a replica.
 *
 *   connecting ── welcome(resume) ──────────────────────────> streaming
 *       │     └── welcome(sync) ──> syncing: have, pages, synced ──┘ │
 *       └<──────────── any failure, after a delay ───────────────────┘
 */
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { MAX_SUMS } from '../../proto/limits.ts'
import type { Body, Message } from '../../proto/messages.ts'
import { type ErrorCode, isErrorCode, WalcastError } from '../errors.ts'
import { makeFolder } from '../fileOps.ts'
import { headerPageSize, inspectDatabase, requireSafeHost } from '../sqlite/databaseFiles.ts'
import type { PageSums } from '../sqlite/pageSums.ts'
import { PositionLog } from '../sqlite/positionLog.ts'
import type { SqliteThread } from '../sqlite/sqliteThread.ts'
import type { ReplicaPosition } from './applier.ts'
import { Copy, type CopyHost } from './copy.ts'
import { FirstCopySlot } from './firstCopySlot.ts'
import { LagTracker } from './lag.ts'
import type { ReplicaOptions } from './replicaOptions.ts'
import { Subscription } from './subscription.ts'

export type ReplicaState = 'connecting' | 'syncing' | 'streaming' | 'stopped'

/** Errors that a first contact ends with, because waiting does not mend them. */
const FATAL_AT_FIRST: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'WRONG_CLUSTER',
  'WRONG_PAGE_SIZE',
  'WRONG_SECRET',
  'PROTOCOL_VERSION',
  'SELF_LEADER',
  'NOT_LEADER',
  'UNKNOWN_DATABASE',
])
/** Errors of received bytes: counted, nothing of them is applied. */
const REFUSED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'MESSAGE_BAD',
  'MESSAGE_TOO_LARGE',
  'MESSAGE_CHECKSUM',
  'STATE_MISMATCH',
])
const ACK_MS = 20
/** Bytes of page checksums in the socket before more are sent. */
const MAX_HAVE_BYTES = 4 * 1024 * 1024
const HAVE_WAIT_MS = 5

export class Replica {
  readonly #options: ReplicaOptions
  readonly #thread: SqliteThread
  readonly #subscription: Subscription
  readonly lag: LagTracker
  #positions!: PositionLog
  #copy: Copy | undefined
  readonly #firstCopy: FirstCopySlot
  #state: ReplicaState = 'connecting'
  #leader = { node: '', pages: 0, pageSize: 0 }
  #sync = { remaining: 0, total: 0 }
  #distrusted = false
  #welcomed = false
  #lastError: WalcastError | undefined
  #ackTimer: NodeJS.Timeout | undefined
  #pingTimer: NodeJS.Timeout | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #lastBatchMs = 0
  /** Pages of the transaction under way. */
  #chunkPages = 0
  #stopping: Promise<void> | undefined

  private constructor(options: ReplicaOptions, thread: SqliteThread) {
    this.#options = options
    this.#thread = thread
    this.lag = new LagTracker(options.clock)
    this.#firstCopy = new FirstCopySlot(options.stateFolder, options.ops, options.log)
    this.#subscription = new Subscription(options.subscription, {
      clock: options.clock,
      upgradeHeaders: () => options.upgradeHeaders(this.lag.offset.offsetMs),
      onOpen: () => this.#sayHello(),
      onMessage: (message, receivedMs) => this.#onMessage(message, receivedMs),
      onHeard: (nowMs) => this.lag.onHeard(nowMs),
      onLeaderClock: (leaderMs, sentMs, receivedMs) => this.lag.offset.add(sentMs, leaderMs, receivedMs),
      onClosed: (error) => this.#onClosed(error),
    })
  }

  /** Opens what is there and begins to connect. Throws the catalogue's start-up errors and has touched nothing then. `thread` stays the caller's. */
  static async open(options: ReplicaOptions, thread: SqliteThread): Promise<Replica> {
    const { path, identity } = options
    const exists = existsSync(path)
    if (exists && identity.cluster() === '') throw new WalcastError('NOT_A_COPY', { path })
    if (!exists && existsSync(`${path}-wal`)) throw new WalcastError('STRAY_WAL', { path: `${path}-wal` })
    if (exists && headerPageSize(inspectDatabase(path)) === 0) throw new WalcastError('NOT_A_COPY', { path })
    const replica = new Replica(options, thread)
    await requireSafeHost(thread)
    makeFolder(options.stateFolder)
    replica.#positions = new PositionLog(`${options.stateFolder}/positions`, options.ops)
    if (exists) await replica.#adoptCopy()
    replica.#subscription.start()
    replica.#pingTimer = setInterval(() => replica.ping(), options.pingMs)
    replica.#idleTimer = setInterval(() => replica.#onTick(), options.idleMs)
    return replica
  }

  get position(): ReplicaPosition {
    return this.#copy?.applier.position ?? { epoch: 0, txid: 0 }
  }

  /** Whether the copy is whole and not known to differ from the leader's. Cheap. */
  get canRead(): boolean {
    return this.#copy !== undefined && !this.#distrusted
  }

  get status() {
    const applier = this.#copy?.applier
    return {
      state: this.#state,
      epoch: applier?.position.epoch ?? 0,
      txid: applier?.position.txid ?? 0,
      checksum: applier?.checksum ?? '',
      pageSize: this.#copy?.pageSize ?? 0,
      pages: applier?.pages ?? 0,
      walBytes: this.#copy?.walBytes ?? 0,
      queuedBytes: this.#subscription.queuedBytes,
      hasCopy: this.#copy !== undefined,
      /** False from the moment its content is known to differ until it has been repaired. */
      isTrusted: !this.#distrusted,
      leaderNode: this.#leader.node,
      connected: this.#subscription.isOpen && this.#state !== 'connecting',
      sync: this.#state === 'syncing' ? this.#sync : undefined,
      lastError: this.#lastError,
    }
  }

  /** Asks the leader for its clock and position. */
  ping(): void {
    this.#subscription.send('ping', { db: this.#options.db, timeMs: this.#options.clock.nowMs() })
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#state = 'stopped'
    clearTimeout(this.#ackTimer)
    clearInterval(this.#pingTimer)
    clearInterval(this.#idleTimer)
    this.#subscription.stop()
    await this.#firstCopy.close()
    await this.#copy?.close()
    this.#positions.close(true)
  }

  /** A file is a copy of ours only when a position was recorded for it; a first copy that was cut leaves none. */
  async #adoptCopy(): Promise<void> {
    const { path } = this.#options
    if (this.#positions.known.length === 0) {
      this.#positions.close(false)
      throw new WalcastError('NOT_A_COPY', { path })
    }
    this.#firstCopy.tidy()
    await this.#openCopy()
  }

  async #openCopy(): Promise<void> {
    const { path, ops, clock, log, walBytes, lockTimeoutMs } = this.#options
    const options = {
      path,
      thread: this.#thread,
      ops,
      clock,
      log,
      positions: this.#positions,
      walBytes,
      lockTimeoutMs,
    }
    this.#copy = await Copy.open(options, this.#copyHost(), this.#positions.known)
    this.lag.onAt(this.#copy.applier.position.txid)
  }

  #copyHost(): CopyHost {
    const { log, observer } = this.#options
    return {
      hold: () => this.#subscription.hold(),
      onCheckpoint: (checkpoint) => observer.onCheckpoint(checkpoint),
      onStray: (error, same) => {
        observer.onStray()
        log.error({ error: error.line }, 'the copy was written by something else')
        this.#distrusted ||= !same
        this.#subscription.fail(error)
      },
      onFatal: (error) => observer.onFatal(error),
    }
  }

  #sayHello(): void {
    const { db, identity, version, advertise } = this.#options
    const applier = this.#copy?.applier
    const { epoch, txid } = applier?.position ?? { epoch: 0, txid: 0 }
    applier?.discard()
    const checksum = applier && !this.#distrusted ? applier.checksum : ''
    const pages = applier?.sums.pages ?? 0
    const pageSize = this.#copy?.pageSize ?? 0
    this.#subscription.send('hello', {
      db,
      node: identity.node,
      cluster: identity.cluster(),
      epoch,
      txid,
      checksum,
      pageSize,
      pages,
      version,
      advertise,
      lagMs: this.lag.lagMs(),
    })
  }

  #onMessage(message: Message, receivedMs: number): void | Promise<void> {
    const { db } = this.#options
    if (message.type !== 'error' && message.body.db !== db)
      throw new WalcastError('UNKNOWN_DATABASE', { db: message.body.db })
    try {
      return this.#handle(message, receivedMs)
    } finally {
      // Counted afterwards: readers wait for a batch, not for a counter.
      this.#options.observer.onReceived(message.payload.length)
    }
  }

  #handle(message: Message, receivedMs: number): void | Promise<void> {
    switch (message.type) {
      case 'batch':
        return this.#onBatch(message.body, message.payload, receivedMs)
      case 'heartbeat':
        return this.#onHeartbeat(message.body)
      case 'pong':
        return this.lag.offset.add(message.body.pingMs, message.body.timeMs, receivedMs)
      case 'welcome':
        return this.#onWelcome(message.body)
      case 'resync':
        this.#expect('streaming', 'a resync')
        this.#leader = { ...this.#leader, pages: message.body.pages }
        return this.#beginSync(message.body.reason)
      case 'pages':
        return this.#onPages(message.body, message.payload)
      case 'synced':
        return this.#onSynced(message.body, message.payload)
      case 'stopping':
        this.#options.log.info('the leader is stopping')
        return this.#options.observer.onLeaderStopping()
      case 'error':
        throw remoteError(message.body, this.#options)
      case 'hello':
      case 'have':
      case 'ack':
      case 'ping':
        throw new WalcastError('MESSAGE_BAD', { detail: `a leader does not send ${message.type}` })
    }
  }

  async #onWelcome(welcome: Body<'welcome'>): Promise<void> {
    const { identity, log } = this.#options
    this.#expect('connecting', 'a welcome')
    const mine = identity.cluster()
    if (mine !== '' && mine !== welcome.cluster)
      throw new WalcastError('WRONG_CLUSTER', { mine, theirs: welcome.cluster })
    if (welcome.node === identity.node) throw new WalcastError('SELF_LEADER')
    if (this.#copy && this.#copy.pageSize !== welcome.pageSize) {
      throw new WalcastError('WRONG_PAGE_SIZE', { mine: this.#copy.pageSize, theirs: welcome.pageSize })
    }
    const { epoch } = this.position
    if (welcome.epoch < epoch) throw new WalcastError('STALE_LEADER', { mine: epoch, theirs: welcome.epoch })
    if (mine === '') await identity.adopt(welcome.cluster, welcome.epoch)
    this.#leader = { node: welcome.node, pages: welcome.pages, pageSize: welcome.pageSize }
    this.#welcomed = true
    this.lag.onConnected(welcome.heartbeatMs)
    this.#options.observer.onConnected()
    this.ping()
    log.info(
      {
        leader: welcome.node,
        mode: welcome.mode,
        reason: welcome.reason || undefined,
        epoch: welcome.epoch,
        txid: welcome.txid,
      },
      'connected to the leader',
    )
    if (welcome.mode === 'sync') return this.#beginSync(welcome.reason)
    this.#state = 'streaming'
    this.lag.onLeaderAt(welcome.txid)
  }

  /** Tells the leader which pages are here, so that it sends the others. */
  async #beginSync(reason: string): Promise<void> {
    const { log, db, path } = this.#options
    this.#state = 'syncing'
    this.#sync = { remaining: this.#leader.pages, total: this.#leader.pages }
    log.info({ reason, pages: this.#leader.pages }, 'comparing pages with the leader')
    this.#copy?.applier.discard()
    // The file is there already when opening it failed after it was published.
    if (!this.#copy && existsSync(path)) await this.#openCopy()
    if (!this.#copy) await this.#firstCopy.open(this.#leader.pageSize)
    const sums: PageSums | undefined = this.#copy?.applier.sums ?? this.#firstCopy.current?.sums
    const pages = sums?.pages ?? 0
    for (let first = 1; first <= Math.max(1, pages); first += MAX_SUMS) {
      const end = Math.min(pages, first + MAX_SUMS - 1)
      const count = Math.max(0, end - first + 1)
      while (this.#subscription.bufferedBytes > MAX_HAVE_BYTES) await delay(HAVE_WAIT_MS)
      this.#subscription.send(
        'have',
        { db, firstPage: first, sums: count, last: end >= pages },
        sums?.slice(first, end) ?? new Uint8Array(),
      )
    }
  }

  #onPages(pages: Body<'pages'>, payload: Buffer): void | Promise<void> {
    this.#expect('syncing', 'pages')
    this.#sync = { remaining: pages.remaining, total: Math.max(pages.dbPages, this.#sync.total) }
    if (!this.#copy) return this.#firstCopy.current?.addPages(pages, payload)
    this.#copy.applier.addPages(pages, payload)
  }

  async #onSynced(synced: Body<'synced'>, payload: Buffer): Promise<void> {
    this.#expect('syncing', 'synced')
    if (this.#copy) this.#copy.applier.finishSync(synced, payload)
    else await this.#publishFirstCopy(synced, payload)
    const { epoch, txid } = synced
    this.#distrusted = false
    this.#state = 'streaming'
    this.lag.onAt(txid)
    this.#copy?.onApplied()
    this.#options.log.info({ epoch, txid, pages: synced.dbPages }, 'the copy is whole and verified')
    this.#options.observer.onSynced()
    this.#ack()
  }

  async #publishFirstCopy(synced: Body<'synced'>, payload: Buffer): Promise<void> {
    await this.#firstCopy.publish(synced, payload, this.#options.path, (checksum) => {
      const { epoch, txid, dbPages: pages } = synced
      this.#positions.append({ epoch, txid, checksum, salt1: 0, salt2: 0, frame: 0, s0: 0, s1: 0, pages })
      this.#positions.sync()
    })
    await this.#openCopy()
  }

  #onBatch(batch: Body<'batch'>, payload: Buffer, receivedMs: number): void {
    this.#expect('streaming', 'a batch')
    if (!this.#thread.isAlive) throw new WalcastError('STOPPING')
    const copy = this.#copy
    if (!copy) throw new WalcastError('MESSAGE_BAD', { detail: 'a batch came before the copy was whole' })
    const { clock, observer } = this.#options
    this.#lastBatchMs = receivedMs
    this.lag.onReceived(payload.length, batch.txid)
    const visible = copy.applier.applyBatch(batch, payload)
    this.#chunkPages = batch.chunk === 0 ? batch.pages : this.#chunkPages + batch.pages
    if (!visible) return
    const visibleMs = clock.nowMs()
    const lagMs = this.lag.onApplied(batch.txid, batch, receivedMs, visibleMs)
    this.#ackSoon()
    observer.onApplied({
      pages: this.#chunkPages,
      applyMs: visibleMs - receivedMs,
      lagMs,
      position: copy.applier.position,
    })
    copy.onApplied()
  }

  #expect(state: ReplicaState, what: string): void {
    if (this.#state !== state)
      throw new WalcastError('MESSAGE_BAD', { detail: `${what} came while ${this.#state}` })
  }

  /** A connection that lives to see one is in order; one that fails sooner, on a full disk for example, backs off. */
  #onHeartbeat(heartbeat: Body<'heartbeat'>): void {
    this.lag.onLeaderAt(heartbeat.txid)
    this.#options.observer.onLeaderAt()
    this.#subscription.settled()
    this.#lastError = undefined
    this.#ackSoon()
  }

  #ackSoon(): void {
    this.#ackTimer ??= setTimeout(() => this.#ack(), ACK_MS)
  }

  #ack(): void {
    clearTimeout(this.#ackTimer)
    this.#ackTimer = undefined
    const position = this.#copy?.applier.position
    if (position)
      this.#subscription.send('ack', {
        db: this.#options.db,
        ...position,
        lagMs: this.lag.lagMs() || this.lag.lastLagMs,
      })
  }

  #onTick(): void {
    const { clock, idleMs, path, observer } = this.#options
    if (this.#copy && !this.#copy.isThere) return observer.onFatal(new WalcastError('DB_REPLACED', { path }))
    if (clock.nowMs() - this.#lastBatchMs > idleMs) this.#copy?.onIdle()
  }

  #onClosed(error: WalcastError): void {
    const { observer, log } = this.#options
    this.lag.onDisconnected()
    clearTimeout(this.#ackTimer)
    this.#ackTimer = undefined
    if (this.#state === 'stopped') return
    if (error.key === 'STATE_MISMATCH') this.#onMismatch()
    if (REFUSED.has(error.key)) observer.onRefused(error.key)
    if (!this.#welcomed && FATAL_AT_FIRST.has(error.key)) return observer.onFatal(error)
    if (this.#state !== 'connecting' || this.#lastError?.code !== error.code)
      log.warn({ error: error.line }, 'not connected to the leader; trying again')
    this.#state = 'connecting'
    this.#lastError = error
    observer.onDisconnected(error.key)
  }

  /** A state that does not verify is never resumed from: the pages are compared next time. */
  #onMismatch(): void {
    this.#distrusted = true
    void this.#firstCopy.abandon()
  }
}

function remoteError(body: Body<'error'>, options: ReplicaOptions): WalcastError {
  const address = options.subscription.leader
  if (!isErrorCode(body.code))
    return new WalcastError('LEADER_UNREACHABLE', { address, detail: body.message })
  return new WalcastError(body.code, { message: body.message, address, db: options.db })
}
