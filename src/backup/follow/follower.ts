/**
 * Keeps a database current from an archive alone. It looks for new files again and again:
 *
 *   nothing newer ──> waits
 *   changes that lead on ──> each file one step
 *   a gap, or a history left behind by a failover, twice ──> restores, and takes what differs
 *   an archive of another history, twice ──> ends, unless that is forced
 */
import type { ArchivedPlace } from '../../../proto/archiveNames.ts'
import { asWalcastError, keyOf, WalcastError } from '../../errors.ts'
import { monotonicMs } from '../../platform/time.ts'
import { isOfOneFile } from '../contentFailures.ts'
import { type BadPieces, startOf } from '../historyPositions.ts'
import { endOf, type PlannedFile, pieceName, type StoredFile } from '../restorePlan.ts'
import type { ClusterArchive } from '../restoreTarget.ts'
import { WakeablePause } from '../wakeablePause.ts'
import type { FollowedArchive } from './followedArchive.ts'
import type { FollowedFile } from './followedFile.ts'
import { type FollowStep, Steps } from './steps.ts'
import { wayOn } from './wayOn.ts'

/** Why a state is restored anew. */
export type OverReason = 'gap' | 'left' | 'forced' | 'foreign'

export interface FollowOrder {
  readonly file: FollowedFile
  readonly archive: FollowedArchive
  /** Milliseconds between two looks. */
  readonly everyMs: number
  /** What another program has written is overwritten. */
  readonly isForced: boolean
  /**
   * Restores the newest position that can be had, and gives it to `steps.takeAll`. Undefined, and
   * nothing is done, when that leads no further than `file` is. Throws what a restore does, and
   * what `requireGoing` throws.
   */
  over(reason: OverReason, steps: Steps, requireGoing: () => void): Promise<FollowStep | undefined>
  /** The first look is over. `timeMs`: of the position of `file`, if the archive has it. */
  onStart(timeMs: number | undefined): void
  onStep(step: FollowStep): void
  /** Once for each file that cannot be used. */
  onBad(name: string, error: WalcastError): void
  /** Why it does not go on, once a minute while that lasts. */
  onWaiting(error: WalcastError): void
  /** A look is over, and nothing newer is archived. */
  onLevel(): void
}

interface Look {
  readonly own: ClusterArchive
  /** Of the whole list. */
  readonly isAll: boolean
}

/** So often all of the list is asked for, bad files are tried again, and what is amiss is told. */
const MINUTE_MS = 60_000
/** A list may be read while files are merged: what is missing in it counts when it is again. */
const DOUBTS = 2
/** Nothing that is waited for mends these. */
const FATAL: ReadonlySet<string | undefined> = new Set([
  ...['DISK_FULL', 'WRITE_FAILED', 'RESTORE_REFUSED', 'RESTORE_UNSOUND', 'FOLLOWED_CHANGED'],
  ...['SQLITE_BUSY', 'STOPPING', 'INTERNAL', 'WAL_BROKEN', 'WAL_INDEX_UNREADABLE'],
])

export class Follower {
  readonly #order: FollowOrder
  readonly #steps: Steps
  readonly #pause = new WakeablePause()
  readonly #bad: BadPieces = new Map()
  readonly #wrong = new Set<string>()
  readonly #named = new Set<string>()
  readonly #told = new Map<string, number>()
  #isStarted = false
  #wantsAll = true
  #allAtMs = -Infinity
  #doubts = 0
  /** Until then it makes no sense to restore anew: it was tried. */
  #stuckUntilMs = 0

  constructor(order: FollowOrder) {
    this.#order = order
    this.#steps = new Steps(order.file, () => this.#requireGoing())
  }

  /** Until `stop`. Throws FOLLOWED_CHANGED, and what the disk or the file forbids. */
  async run(): Promise<void> {
    while (!this.#pause.isEnded) {
      const isAgain = await this.#round().catch((error) => this.#onFailed(error))
      if (!isAgain) await this.#pause.wait(this.#order.everyMs)
    }
  }

  /** `run` ends soon. A step that is under way is given up. */
  stop(): void {
    this.#pause.end()
  }

  /** Whether the next round comes at once. */
  async #round(): Promise<boolean> {
    const { file, isForced } = this.#order
    file.requireUsable()
    if (file.isForeign) {
      if (isForced) return this.#over('forced')
      throw new WalcastError('FOLLOWED_CHANGED', {
        path: file.path,
        detail: 'something wrote to it',
      })
    }
    const look = await this.#look()
    if (look && !this.#isStarted) this.#order.onStart(await this.#startTime(look.own))
    this.#isStarted ||= look !== undefined
    file.onIdle()
    return look ? this.#goOn(look) : false
  }

  /** Undefined when nothing is new. */
  async #look(): Promise<Look | undefined> {
    const { archive } = this.#order
    const isLate = monotonicMs() - this.#allAtMs >= MINUTE_MS
    if (!this.#wantsAll && !isLate) {
      const own = await archive.lookNewest(this.#bad)
      if (own === 'same') return undefined
      if (own !== 'merged') return { own, isAll: false }
    }
    this.#wantsAll = true
    if (isLate) this.#forgive()
    const own = await archive.lookAll(this.#bad)
    this.#allAtMs = monotonicMs()
    this.#wantsAll = false
    return { own, isAll: true }
  }

  /** A file may have come back, or be readable again. */
  #forgive(): void {
    this.#bad.clear()
    this.#wrong.clear()
  }

  async #goOn({ own, isAll }: Look): Promise<boolean> {
    const { file, onLevel } = this.#order
    const on = await wayOn(own, file.at, this.#bad, this.#wrong, ({ name }, txid) =>
      this.#has(own, name, txid),
    )
    this.#nameBad()
    if (on.kind !== 'way' && on.kind !== 'level') return this.#onCutOff(on.kind, isAll)
    this.#doubts = 0
    if (on.kind === 'way') {
      const isDone = await this.#apply(own, on.files, isAll)
      this.#wantsAll = !isDone || !on.isWhole
      if (this.#wantsAll) return true
    }
    onLevel()
    return false
  }

  async #onCutOff(reason: OverReason, isAll: boolean): Promise<boolean> {
    if (monotonicMs() < this.#stuckUntilMs) return false
    this.#wantsAll = true
    if (!isAll) return true
    if (++this.#doubts < DOUBTS) return false
    const { file, archive, isForced } = this.#order
    if (reason === 'foreign' && !isForced) throw foreign(file.path, archive.place)
    return this.#over(reason)
  }

  async #over(reason: OverReason): Promise<boolean> {
    if (monotonicMs() < this.#stuckUntilMs) return false
    this.#stuckUntilMs = monotonicMs() + MINUTE_MS
    this.#wantsAll = false
    const { over, onStep, file } = this.#order
    const step = await over(reason, this.#steps, () => this.#requireGoing())
    if (!step) {
      this.#tell(cutOff(file.at))
      return false
    }
    this.#stuckUntilMs = 0
    this.#doubts = 0
    this.#wantsAll = true
    onStep(step)
    return true
  }

  /** False when a file cannot be used: what came before it is applied. */
  async #apply(own: ClusterArchive, files: readonly PlannedFile[], isAll: boolean) {
    const turn = own.archive.inTurn(files)
    try {
      for (const open of turn.opens) {
        this.#requireGoing()
        const step = await this.#steps.take(await open())
        if (step) this.#order.onStep(step)
      }
      return true
    } catch (error) {
      const last = turn.last()
      if (!isOfOneFile(error) || !last) throw error
      // It may have been merged since.
      const isGone = error.key === 'ARCHIVE_MISSING' && !isAll
      if (!isGone) this.#bad.set(pieceName(last), error)
      this.#nameBad()
      return false
    } finally {
      await this.#steps.discard()
      await turn.close()
    }
  }

  async #has(own: ClusterArchive, name: StoredFile['name'], txid: number): Promise<boolean> {
    try {
      return await own.archive.use(name, async ({ points, isOpen }) =>
        (isOpen ? points.slice(0, -1) : points).some((point) => point.txid === txid),
      )
    } catch (error) {
      if (!isOfOneFile(error)) throw error
      this.#bad.set(pieceName(name), error)
      return false
    }
  }

  /** When the position was committed with which it begins. */
  async #startTime({ pieces, archive }: ClusterArchive): Promise<number | undefined> {
    const { incarnation, txid } = this.#order.file.at
    const own = pieces.filter((piece) => {
      const end = endOf(piece.name)
      return end.incarnation === incarnation && startOf(piece) < txid && txid <= end.txid
    })
    const [file] = own.flatMap(({ files }) => files).toSorted((a, b) => a.bytes - b.bytes)
    if (!file) return undefined
    const times = archive.use(file.name, async ({ points }) => points)
    return (await times.catch(() => [])).find((point) => point.txid === txid)?.timeMs
  }

  #nameBad(): void {
    for (const [name, error] of this.#bad) {
      if (!this.#named.has(name)) this.#order.onBad(name, error)
      this.#named.add(name)
    }
  }

  #onFailed(error: unknown): boolean {
    const failure = asWalcastError(error)
    if (keyOf(failure) === 'STOPPING' && this.#pause.isEnded) return false
    if (FATAL.has(keyOf(failure))) throw failure
    // What the look before has shown was not done.
    this.#wantsAll = true
    this.#tell(failure)
    return false
  }

  #tell(error: WalcastError): void {
    const nowMs = monotonicMs()
    if (nowMs - (this.#told.get(error.key) ?? -Infinity) < MINUTE_MS) return
    this.#told.set(error.key, nowMs)
    this.#order.onWaiting(error)
  }

  #requireGoing(): void {
    if (this.#pause.isEnded) throw new WalcastError('STOPPING')
  }
}

function cutOff({ txid }: ArchivedPlace): WalcastError {
  return new WalcastError('ARCHIVE_GAP', {
    name: `what follows txid ${txid}`,
    detail: 'files are missing or damaged, and no snapshot leads further yet',
  })
}

function foreign(path: string, place: string): WalcastError {
  const detail = `${place} has nothing of its history`
  const cure = 'name its own archive with --from; with --force the file becomes what is there'
  const details = { path, detail, cure }
  return new WalcastError('FOLLOWED_CHANGED', details)
}
