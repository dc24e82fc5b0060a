/**
 * Whether this node writes the archive now. With `replica` a replica asks its leader, and the
 * leader writes while no replica does.
 */
import type { Position } from '../../proto/position.ts'
import { type ArchivistAnswer, type ArchivistDesk, GRANT_MS } from '../api/archivist.ts'
import type { PlaceReport } from '../api/backupStatus.ts'
import { keyOf } from '../errors.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'
import { ArchivistGrant } from './archivistGrant.ts'

export type BackupOn = 'replica' | 'leader' | 'this'

export interface ArchivistParts {
  readonly on: BackupOn
  /** Undefined while the node has no role. */
  role(): 'leader' | 'replica' | undefined
  /** Whether replicas are known that may come back and archive. */
  hasReplicas(): boolean
  /** Asks the leader, or gives the archive back. Rejects when it cannot be asked. */
  ask(isDeclining: boolean): Promise<ArchivistAnswer>
  /** A replica has told what it has archived. */
  onArchived(at: Position): void
  nowMs(): number
}

/** A grant is asked for again while two more tries are left. */
const ASK_EVERY_MS = GRANT_MS / 3

export class Archivist implements ArchivistDesk {
  readonly #parts: ArchivistParts
  readonly #grant: ArchivistGrant
  #role: 'leader' | 'replica' | undefined
  /** Since when the node has this role. */
  #roleSinceMs = 0
  /** Replicas get no more time to ask first. */
  #isTakenUp = false
  #grantedUntilMs = 0
  /** Whether the leader said that another node would archive. */
  #hasOthers = false
  /** When this node gave the archive back, which it has not written since. */
  #declinedMs: number | undefined
  #timer: Timer | undefined
  #isAsking = false
  /** Asked once more when the present question is answered. */
  #isAskDue = false
  #isStopped = false

  constructor(parts: ArchivistParts) {
    this.#parts = parts
    const { onArchived, nowMs } = parts
    this.#grant = new ArchivistGrant({
      role: () => this.#look(),
      mayArchive: true,
      ...{ onArchived, nowMs },
    })
  }

  start(): void {
    if (this.#parts.on === 'replica') this.#askSoon(0)
  }

  stop(): void {
    this.#isStopped = true
    cancelTimer(this.#timer)
  }

  get holder(): string | undefined {
    return this.#grant.holder
  }

  /** Whether this node is the one that archives. */
  isOn(): boolean {
    const role = this.#look()
    const nowMs = this.#parts.nowMs()
    switch (this.#parts.on) {
      case 'this':
        return role !== undefined
      case 'leader':
        return role === 'leader'
      case 'replica':
        return role === 'leader' ? this.#isLeft(nowMs) : nowMs < this.#grantedUntilMs
    }
  }

  /**
   * After how long this node writes a place that stands still, as the node that archives does not;
   * undefined when it never does. The leader is the first.
   */
  mayStandInMs(alertMs: number): number | undefined {
    if (this.#parts.on !== 'replica') return undefined
    return this.#parts.role() === 'leader' ? alertMs : 2 * alertMs
  }

  /** Whether this leader leaves it to replicas, and none archives yet. */
  isAwaiting(): boolean {
    if (this.#parts.on !== 'replica' || this.#look() !== 'leader') return false
    return this.holder === undefined && !this.isOn()
  }

  /** What the report of each place says of who archives. */
  report(): Pick<PlaceReport, 'archivist' | 'isAwaitingReplica'> {
    const { holder } = this
    return {
      ...(holder === undefined ? {} : { archivist: holder }),
      ...(this.isAwaiting() ? { isAwaitingReplica: true } : {}),
    }
  }

  /** A leader that waits for a replica to archive waits no longer. One may take over later. */
  takeUp(): void {
    if (this.isAwaiting()) this.#isTakenUp = true
  }

  /** A replica of this leader would archive. */
  claim(node: string, archived: Position | undefined): ArchivistAnswer {
    return this.#grant.claim(node, archived)
  }

  /** Replicas that were there before get the time to ask first. */
  #isLeft(nowMs: number): boolean {
    if (this.#grant.holder !== undefined) return false
    if (!this.#parts.hasReplicas() || this.#isTakenUp || this.#grant.isDeclined) return true
    return nowMs - this.#roleSinceMs > GRANT_MS
  }

  decline(node: string): ArchivistAnswer {
    return this.#grant.decline(node)
  }

  /** Tells the leader at once what is archived. */
  tell(): void {
    if (!this.#isDeclining()) this.#declinedMs = undefined
    if (this.#parts.on === 'replica' && this.#role === 'replica') this.#askSoon(0)
  }

  /**
   * This node has nothing but a snapshot to add to the archive. Gives whether it leaves the archive
   * to others, for one grant period. It does so once: if no other node has gone on by then so that
   * this one can follow, it takes the snapshot.
   */
  giveBack(): boolean {
    const isReplica = this.#parts.on === 'replica' && this.#look() === 'replica'
    if (!isReplica || !this.#hasOthers || this.#declinedMs !== undefined) return false
    this.#declinedMs = this.#parts.nowMs()
    this.#grantedUntilMs = 0
    this.#askSoon(0)
    return true
  }

  #isDeclining(): boolean {
    return this.#declinedMs !== undefined && this.#parts.nowMs() < this.#declinedMs + GRANT_MS
  }

  /** Between two roles, and at the end of the node, the one before counts. */
  #look(): 'leader' | 'replica' | undefined {
    const role = this.#parts.role() ?? this.#role
    if (role !== this.#role) {
      this.#role = role
      this.#roleSinceMs = this.#parts.nowMs()
      this.#grantedUntilMs = 0
      this.#hasOthers = false
      this.#declinedMs = undefined
      this.#isTakenUp = false
      this.#grant.end()
    }
    return role
  }

  #askSoon(afterMs: number): void {
    if (this.#isStopped) return
    cancelTimer(this.#timer)
    this.#timer = setTimer(() => this.#askInTurn(), afterMs).unref()
  }

  /** One question at a time: each sets the time of the next one. */
  async #askInTurn(): Promise<void> {
    this.#isAskDue = this.#isAsking
    if (this.#isAsking) return
    this.#isAsking = true
    try {
      await this.#ask()
    } finally {
      this.#isAsking = false
      this.#askSoon(this.#isAskDue ? 0 : ASK_EVERY_MS)
    }
  }

  /** A leader that cannot be asked has no commits for this node either. */
  async #ask(): Promise<void> {
    if (this.#look() !== 'replica') return
    const askedMs = this.#parts.nowMs()
    try {
      const { archives, hasOthers } = await this.#parts.ask(this.#isDeclining())
      this.#hasOthers = hasOthers
      this.#grantedUntilMs = archives && !this.#isDeclining() ? askedMs + GRANT_MS : 0
    } catch (error) {
      if (keyOf(error) === undefined) throw error
    }
  }
}
