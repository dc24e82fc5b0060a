/** The commits of a database file on this machine, and the tables that they touched. */
import { TableOwners, UNKNOWN } from '../backup/past/tableOwners.ts'
import { CommitFollower, type FollowedStep } from '../sqlite/commitFollower.ts'
import type { Tables } from './tailLines.ts'

export class TailedFile {
  readonly #path: string
  readonly #hasTables: boolean
  #follower: CommitFollower | undefined
  #owners: TableOwners | undefined
  #hasFollowed = false

  constructor(path: string, hasTables: boolean) {
    this.#path = path
    this.#hasTables = hasTables
  }

  get pageSize(): number {
    return this.#follower?.pageSize ?? 0
  }

  /** Whether there is a WAL to follow. */
  get isOpen(): boolean {
    return this.#follower !== undefined
  }

  /**
   * The commits since the last step. The last connection that closes removes the WAL: what comes
   * then is followed from where it is found.
   */
  async step(): Promise<FollowedStep> {
    if (this.#follower && !this.#follower.isStillAt(this.#path)) this.close()
    if (this.#follower) return this.#follower.step()
    this.#follower = CommitFollower.open(this.#path)
    // Finding the tables of all pages takes a while at first, so it comes before any commit.
    await this.tablesOf([])
    const isBroken = this.#hasFollowed
    this.#hasFollowed ||= this.#follower !== undefined
    return { commits: [], isBroken }
  }

  /** Pages of each table among `changed`; undefined where that cannot be told. */
  async tablesOf(changed: readonly number[] | undefined): Promise<Tables> {
    if (!this.#hasTables || !this.#follower || !changed) return undefined
    this.#owners ??= new TableOwners(this.#follower)
    try {
      const tables = await this.#owners.count(changed)
      // A WAL that started over had other pages by then.
      if (this.#follower.isWhole) return tables
    } catch {
      // A page was of another kind by then.
    }
    this.#owners = undefined
    return changed.length > 0 ? new Map([[UNKNOWN, changed.length]]) : undefined
  }

  close(): void {
    this.#follower?.close()
    this.#follower = undefined
    this.#owners = undefined
  }
}
