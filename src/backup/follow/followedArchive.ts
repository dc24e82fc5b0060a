/**
 * An archive as whoever follows it looks at it, again and again: one question for the newest files
 * each time, and all of the list only now and then.
 */
import { formatArchiveName, parseArchiveName } from '../../../proto/archiveNames.ts'
import type { BackupIdentity } from '../../security/backupKeys.ts'
import { Archive } from '../archive.ts'
import type { IncarnationHead } from '../histories.ts'
import type { BadPieces } from '../historyPositions.ts'
import { endOf, type StoredFile } from '../restorePlan.ts'
import { type ClusterArchive, clusterArchive, headOfFile } from '../restoreTarget.ts'
import type { Store } from '../stores/store.ts'

/** What was captured last: files that nothing has merged yet. */
const NEWEST = 'changes/0'

export class FollowedArchive {
  readonly #store: Store
  readonly #identities: readonly BackupIdentity[]
  /** Of which cluster: the first one that is found, unless told. */
  #cluster: string | undefined
  #archive: Archive | undefined
  /** Files that are not among the newest, as the last whole list had them. */
  #older: readonly StoredFile[] = []
  #newest: ReadonlyMap<string, StoredFile> = new Map()
  readonly #heads = new Map<string, IncarnationHead>()

  constructor(store: Store, identities: readonly BackupIdentity[], cluster: string | undefined) {
    this.#store = store
    this.#identities = identities
    this.#cluster = cluster
  }

  /** For people. */
  get place(): string {
    return this.#store.name
  }

  /** All of it. Throws what `Archive.list` and `clusterArchive` do. */
  async lookAll(bad: BadPieces): Promise<ClusterArchive> {
    const archive = await Archive.list(this.#store, { identities: this.#identities })
    const isNewest = ({ name }: StoredFile) => name.kind === 'changes' && name.level === 0
    this.#archive = archive
    this.#older = archive.files.filter((file) => !isNewest(file))
    this.#newest = byName(archive.files.filter(isNewest))
    return this.#ofCluster(archive, bad)
  }

  /**
   * All of it, as far as it is known, with the newest files. 'same' when these are the ones of the
   * look before, 'merged' when some are gone: then only `lookAll` tells what became of them.
   */
  async lookNewest(bad: BadPieces): Promise<ClusterArchive | 'same' | 'merged'> {
    if (!this.#archive) return 'merged'
    const newest = new Map<string, StoredFile>()
    for (const { name, bytes } of await this.#store.list(NEWEST)) {
      const parsed = parseArchiveName(name)
      if (parsed) newest.set(name, { name: parsed, bytes })
    }
    const before = this.#newest
    if ([...before.keys()].some((name) => !newest.has(name))) return 'merged'
    if (before.size === newest.size) return 'same'
    this.#newest = newest
    return this.#ofCluster(this.#archive.only([...this.#older, ...newest.values()]), bad)
  }

  async #ofCluster(archive: Archive, bad: BadPieces): Promise<ClusterArchive> {
    const own = await clusterArchive(archive, this.#cluster, bad, async (from, name) => {
      const id = endOf(name).incarnation
      const head = this.#heads.get(id) ?? (await headOfFile(from, name))
      this.#heads.set(id, head)
      return head
    })
    const [first] = own.heads.values()
    this.#cluster ??= first?.cluster
    return own
  }
}

function byName(files: readonly StoredFile[]): ReadonlyMap<string, StoredFile> {
  return new Map(files.map((file) => [formatArchiveName(file.name), file]))
}
