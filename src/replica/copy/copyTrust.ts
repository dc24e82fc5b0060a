import type { Containment } from '../../../proto/lineage.ts'
import type { KeptKind } from '../diverged/keptBounds.ts'

/** Why the copy may hold commits that its leader lacks, and whether that is likely. */
export interface SuspectedDivergence {
  readonly reason: string
  readonly kind: KeptKind
  /** The file was damaged, so what the leader lacks may be nothing but damage. */
  readonly isDamaged?: boolean
}

/**
 * What speaks against the copy: whether readers may use it, whether its checksums in memory are
 * right, and whether it may hold commits that exist nowhere else.
 */
export class CopyTrust {
  #isDoubtful = false
  #isWrong = false
  #divergence: SuspectedDivergence | undefined

  /** False once the content is known, or suspected, to differ from the leader's. */
  get isGood(): boolean {
    return !this.#isDoubtful && !this.#isWrong
  }

  /**
   * The page checksums in memory may be wrong: the copy must be read again before a comparison.
   */
  get isDoubtful(): boolean {
    return this.#isDoubtful
  }

  /** Why it may hold commits that the leader lacks; undefined when it holds none. */
  get divergence(): SuspectedDivergence | undefined {
    return this.#divergence
  }

  /**
   * The copy was opened. Without `isAsRecorded` something wrote to it, or put it back to an earlier
   * state, while no node ran. Then the newest record may not hold, and readers must wait until a
   * leader is connected. `isMended`: it did not open before it was mended.
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

  /** The copy has no content yet. */
  onBlank(): void {
    this.#isWrong = true
  }

  /** Something else wrote to the copy, and the copy was read again. */
  onStray(): void {
    this.#isWrong = true
    this.#suspect('something else wrote to it', 'diverged')
  }

  /** A state did not verify. */
  onMismatch(): void {
    this.#isDoubtful = true
  }

  /** The disk has rotten pages, and the checksums in memory tell which. */
  onRotten(): void {
    this.#isWrong = true
  }

  /** A comparison with a leader begins. */
  onCompared(containment: Containment): void {
    if (containment === 'unknown')
      this.#suspect('it may hold commits that the leader lacks', 'diverged')
    if (containment === 'likely')
      this.#suspect('its leader very likely came from this state, unproven', 'routine')
  }

  /** The copy is the leader's state. */
  onLevel(): void {
    this.#isDoubtful = false
    this.#isWrong = false
    this.#divergence = undefined
  }

  /** The first reason stays, but a diverged one replaces a routine one. */
  #suspect(reason: string, kind: KeptKind): void {
    if (!this.#divergence || (this.#divergence.kind === 'routine' && kind === 'diverged'))
      this.#divergence = { reason, kind }
  }
}
