/**
 * Runs of positions at whose middle another file may begin: after a failover the new leader
 * branches off at a position that lies inside a file of the old one. Pure; names alone are known
 * here, so whether such a file has exactly this position is for who reads it.
 */
import { type ArchivedPlace, type ArchiveName, isThinned } from '../../proto/archiveNames.ts'

interface OpenRun<T> {
  readonly from: number
  readonly to: number
  readonly what: T
}

/** Runs are added, and places asked for, in the order in which they begin. */
export class OpenRuns<T> {
  readonly #runs = new Map<string, OpenRun<T>[]>()

  /** Nothing happens for a file that has one position only. */
  add(name: ArchiveName, what: T): void {
    if (name.kind === 'snapshot' || isThinned(name)) return
    const { from, to } = name
    const runs = this.#runs.get(to.incarnation)
    const run = { from: from.txid, to: to.txid, what }
    if (runs) runs.push(run)
    else this.#runs.set(to.incarnation, [run])
  }

  /** Those that have `place` between their ends. */
  at({ incarnation, txid }: ArchivedPlace): readonly T[] {
    const open = (this.#runs.get(incarnation) ?? []).filter(({ to }) => to > txid)
    this.#runs.set(incarnation, open)
    return open.filter(({ from }) => from < txid).map(({ what }) => what)
  }
}
