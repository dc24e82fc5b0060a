import type { Containment } from '../../proto/lineage.ts'

/** What is known against the copy: why it is not read from, what is not believed about it, and whether it may hold what nobody else has. */
export class CopyTrust {
  #isDoubtful = false
  #isWrong = false
  #divergence: string | undefined

  /** Whether its content is not known to differ from the leader's. */
  get isGood(): boolean {
    return !this.#isDoubtful && !this.#isWrong
  }

  /** Whether the page checksums in memory are not to be believed: the copy is to be read again before it is compared. */
  get isDoubtful(): boolean {
    return this.#isDoubtful
  }

  /** Why it may hold commits that the leader lacks; undefined when it holds none. */
  get divergence(): string | undefined {
    return this.#divergence
  }

  /** It was opened; `isAsRecorded` when it was found as it was left. */
  onOpened(isAsRecorded: boolean): void {
    if (!isAsRecorded) this.#divergence ??= 'it was not found as it was left'
  }

  /** Something else wrote to it, and it was read again. */
  onStray(): void {
    this.#isWrong = true
    this.#divergence ??= 'something else wrote to it'
  }

  /** A state did not verify. */
  onMismatch(): void {
    this.#isDoubtful = true
  }

  /** Pages are not what was written, and the checksums in memory say so. */
  onRotten(): void {
    this.#isWrong = true
  }

  /** The pages are to be compared with those of a leader whose database came from this copy's position, or did not. */
  onCompared(contains: Containment): void {
    if (contains !== 'proven') this.#divergence ??= 'it may hold commits that the leader lacks'
  }

  /** It is the leader's state. */
  onLevel(): void {
    this.#isDoubtful = false
    this.#isWrong = false
    this.#divergence = undefined
  }
}
