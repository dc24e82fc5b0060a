import type { Containment } from '../../../proto/lineage.ts'
import type { KeptKind } from '../diverged/keptBounds.ts'

/** Why the copy may hold commits that its leader lacks, and whether that is likely. */
export interface SuspectedDivergence {
  readonly reason: string
  readonly kind: KeptKind
  /** Its file was damaged: what it has and the leader has not may be what the damage left. */
  readonly isDamaged?: boolean
}

/**
 * What is known against the copy: why it is not read from, what is not believed about it, and
 * whether it may hold what nobody else has.
 */
export class CopyTrust {
  #isDoubtful = false
  #isWrong = false
  #divergence: SuspectedDivergence | undefined

  /** Whether its content is not known to differ from the leader's. */
  get isGood(): boolean {
    return !this.#isDoubtful && !this.#isWrong
  }

  /**
   * Whether the page checksums in memory are not to be believed: the copy is to be read again
   * before it is compared.
   */
  get isDoubtful(): boolean {
    return this.#isDoubtful
  }

  /** Why it may hold commits that the leader lacks; undefined when it holds none. */
  get divergence(): SuspectedDivergence | undefined {
    return this.#divergence
  }

  /**
   * It was opened; `isAsRecorded` when it was found as it was left. Otherwise it was written, or
   * put back to an earlier state, while no node ran: it need not hold what the newest record says,
   * and nothing is read from it before a leader has been met. `isMended`: it could not even be
   * opened before it was mended.
   */
  onOpened(isAsRecorded: boolean, isMended: boolean): void {
    if (isAsRecorded) return
    this.#isWrong = true
    this.#suspect('it was not found as it was left', 'diverged')
    if (isMended)
      this.#divergence = {
        reason: 'it was damaged and has been mended',
        kind: 'diverged',
        isDamaged: true,
      }
  }

  /** It has no content yet. */
  onBlank(): void {
    this.#isWrong = true
  }

  /** Something else wrote to it, and it was read again. */
  onStray(): void {
    this.#isWrong = true
    this.#suspect('something else wrote to it', 'diverged')
  }

  /** A state did not verify. */
  onMismatch(): void {
    this.#isDoubtful = true
  }

  /** Pages are not what was written, and the checksums in memory say so. */
  onRotten(): void {
    this.#isWrong = true
  }

  /** The pages are to be compared with those of a leader. */
  onCompared(containment: Containment): void {
    if (containment === 'unknown')
      this.#suspect('it may hold commits that the leader lacks', 'diverged')
    if (containment === 'likely')
      this.#suspect('its leader very likely came from this state, unproven', 'routine')
  }

  /** It is the leader's state. */
  onLevel(): void {
    this.#isDoubtful = false
    this.#isWrong = false
    this.#divergence = undefined
  }

  /** The first reason stays, unless it was a routine matter and this is none. */
  #suspect(reason: string, kind: KeptKind): void {
    if (!this.#divergence || (this.#divergence.kind === 'routine' && kind === 'diverged'))
      this.#divergence = { reason, kind }
  }
}
