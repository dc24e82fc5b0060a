/** What is known against the copy: why it is not read from, what is not believed about it, and whether it may hold what nobody else has. */
export class CopyTrust {
  #isDoubtful = false
  #isWrong = false
  #mayDiverge = false

  /** Whether its content is not known to differ from the leader's. */
  get isGood(): boolean {
    return !this.#isDoubtful && !this.#isWrong
  }

  /** Whether the page checksums in memory are not to be believed: the copy is to be read again before it is compared. */
  get isDoubtful(): boolean {
    return this.#isDoubtful
  }

  /** Whether it may hold commits that the leader lacks. */
  get mayDiverge(): boolean {
    return this.#mayDiverge
  }

  /** It was opened; `isAsRecorded` when it was found as it was left. */
  onOpened(isAsRecorded: boolean): void {
    if (!isAsRecorded) this.#mayDiverge = true
  }

  /** Something else wrote to it, and it was read again. */
  onStray(): void {
    this.#isWrong = true
    this.#mayDiverge = true
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
  onCompared(contains: boolean): void {
    if (!contains) this.#mayDiverge = true
  }

  /** It is the leader's state. */
  onLevel(): void {
    this.#isDoubtful = false
    this.#isWrong = false
    this.#mayDiverge = false
  }
}
