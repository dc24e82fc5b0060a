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

  onSnapshot(name: string, at: Position): void {
    this.snapshots++
    this.snapshot = { name, at }
  }
}
