/**
 * A store whose folders are listed once in a round of work: a bucket is paid by the request. A
 * folder is listed again after this process has written or removed something there.
 */
import type { Append, OpenObject, Store, StoredObject } from './store.ts'

/** What others write there counts at once: see `removeFiles.ts`. */
const NEVER_KEPT: ReadonlySet<string> = new Set(['pins', 'removals'])

export class ListedStore implements Store {
  readonly #store: Store
  readonly #listed = new Map<string, readonly StoredObject[]>()

  constructor(store: Store) {
    this.#store = store
  }

  get name(): string {
    return this.#store.name
  }

  /** From now on it is what others have made of it meanwhile. */
  forget(): void {
    this.#listed.clear()
  }

  async list(prefix: string): Promise<readonly StoredObject[]> {
    const known = this.#listed.get(prefix)
    if (known) return known
    const listed = await this.#store.list(prefix)
    if (!NEVER_KEPT.has(prefix)) this.#listed.set(prefix, listed)
    return listed
  }

  open(name: string): Promise<OpenObject> {
    return this.#store.open(name)
  }

  async create(name: string, write: (append: Append) => Promise<void>): Promise<boolean> {
    try {
      return await this.#store.create(name, write)
    } finally {
      this.#forgetFolderOf(name)
    }
  }

  async remove(name: string): Promise<void> {
    try {
      await this.#store.remove(name)
    } finally {
      this.#forgetFolderOf(name)
    }
  }

  #forgetFolderOf(name: string): void {
    this.#listed.delete(name.slice(0, name.lastIndexOf('/')))
  }
}
