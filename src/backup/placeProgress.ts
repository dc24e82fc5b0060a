/** What this process has done for a place of an archive. */
export class PlaceProgress {
  /** Written to files. */
  bytes = 0
  /** Times it had all that the log had. */
  rounds = 0
  failures = 0
  snapshots = 0
  /** Name of the last one. */
  snapshot: string | undefined

  onSnapshot(name: string): void {
    this.snapshots++
    this.snapshot = name
  }
}
