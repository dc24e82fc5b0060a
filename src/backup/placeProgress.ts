import type { Position } from '../../proto/position.ts'

/** What this process has done for a place of an archive. */
export class PlaceProgress {
  /** Written to files. */
  bytes = 0
  /** Times it had all that the log had. */
  rounds = 0
  failures = 0
  snapshots = 0
  /** The last one. */
  snapshot: { readonly name: string; readonly at: Position } | undefined

  /** The snapshot that is being written to the place, in bytes of the database. */
  writing: { readonly done: number; readonly total: number } | undefined

  readonly onWriting = (done: number, total: number): void => {
    this.writing = { done, total }
  }

  onSnapshot(name: string, at: Position): void {
    this.writing = undefined
    this.snapshots++
    this.snapshot = { name, at }
  }
}
