/**
 * walcast with an archive of every position, in a folder beside the database or in a bucket.
 * Started when the archive has its first snapshot. Verified as walcast is, and by a restore of the
 * newest position, whose content must be the leader's.
 */
import { join } from 'node:path'
import { pause } from '../processes.ts'
import type { Place, Setup, System } from '../system.ts'
import { verifySame } from './content.ts'
import { get, leaderPath, RunningWalcast, walcast } from './walcast.ts'

const LEVEL_TIMEOUT_MS = 300_000
const RESTORE_TIMEOUT_MS = 1_200_000
const LOOK_MS = 20

/** A folder, or an `s3://` URL with the keys of its bucket. */
export interface ArchivePlace {
  readonly place: string
  readonly env?: Readonly<Record<string, string>>
}

export const archivedWalcast: System = {
  ...walcast,
  name: 'walcast --backup',
  start: (setup) => startArchived(setup),
}

export const archiveFolder = (setup: Setup) => join(setup.folder, 'archive')

/** `at`: where the archive is; by default a folder beside the database. */
export async function startArchived(
  setup: Setup,
  at: ArchivePlace = { place: archiveFolder(setup) },
): Promise<ArchivedWalcast> {
  const running = new ArchivedWalcast(setup, at)
  await running.startLeader()
  for (let i = 1; i <= setup.replicas; i++) await running.addReplica()
  await running.whenArchivist()
  await running.whenArchived(running.startTxid)
  return running
}

export class ArchivedWalcast extends RunningWalcast {
  readonly #setup: Setup
  readonly #at: ArchivePlace

  constructor(setup: Setup, at: ArchivePlace) {
    const args = ['--backup', at.place]
    super(setup, { leaderArgs: args, replicaArgs: args, env: at.env ?? {} })
    this.#setup = setup
    this.#at = at
  }

  /** The newest txid that a restore gives, by the node that archives; 0 while none is known. */
  async restorableTxid(): Promise<number> {
    return (await this.#report()).txid
  }

  /** Waits until the node archives that is to: the first replica, or the leader without one. */
  async whenArchivist(): Promise<void> {
    await this.#until('no node archives', async () => (await this.#report()).isArchiving)
  }

  async whenArchived(txid: number): Promise<void> {
    const what = `the archive does not reach txid ${txid}`
    await this.#until(what, async () => (await this.restorableTxid()) >= txid)
  }

  /** The archive has what the leader has. */
  async whenSettled(): Promise<void> {
    await this.whenArchived((await this.leaderStatus()).txid)
  }

  /** The newest position and the leader's, in content: throws when they differ. */
  async verifyArchive(): Promise<void> {
    await this.whenSettled()
    const where = join(this.#setup.folder, 'restored.db')
    await restoreByCommand(this.#setup, this.#at, where)
    await verifySame(this.#setup, [this.primary, { client: 'sqlite', where }])
  }

  override async verify(): Promise<void> {
    await super.verify()
    await this.verifyArchive()
  }

  get #archivist(): number {
    return Math.min(1, this.nodes.length - 1)
  }

  async #report(): Promise<{ readonly txid: number; readonly isArchiving: boolean }> {
    const answer = Object(await get(this.asked(this.#archivist), '/_walcast/status', 'json'))
    const place = Object(answer.backup?.places?.[0])
    const position = String(place.restorableUntil?.position ?? '')
    return {
      txid: Number(position.split('-')[1] ?? 0),
      isArchiving: place.isArchiving === true,
    }
  }

  async #until(complaint: string, isSo: () => Promise<boolean>): Promise<void> {
    const deadlineMs = performance.now() + LEVEL_TIMEOUT_MS
    while (!(await isSo())) {
      if (performance.now() > deadlineMs) throw new Error(complaint)
      await pause(LOOK_MS)
    }
  }
}

/**
 * `walcast restore` of the newest position, in a process of its own. Gives its last line of output.
 */
export function restoreByCommand(
  setup: Setup,
  at: ArchivePlace,
  to: string,
  more: readonly string[] = [],
): Promise<string> {
  const args = ['restore', '--from', at.place, '--to', to, '--json', ...more]
  return walcastCommand(setup, 'restore', args, at.env)
}

export function walcastCommand(
  { processes, root }: Setup,
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const file = process.execPath
  const all = [join(root, 'dist/bundle/cli/main.js'), ...args]
  return processes.run({ name, file, args: all, env }, RESTORE_TIMEOUT_MS)
}

/** Where the leader's database is. */
export const sourceOf = (setup: Setup): Place => ({ client: 'sqlite', where: leaderPath(setup) })
