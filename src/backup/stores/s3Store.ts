/**
 * An archive in an S3 store. What the store promises is used and no more: an object appears whole,
 * a range of it can be read, and names can be listed. A store that honours conditional writes keeps
 * the first of two objects with one name. Another one is asked before each write, and keeps the
 * last of two that are written in the same moment. Both are then what the name says, since names of
 * an archive hold the incarnation that wrote them.
 */
import { S3Client, type S3Limits } from './s3/client.ts'
import { ConditionalWrites } from './s3/conditionalWrites.ts'
import { S3Credentials } from './s3/credentials.ts'
import { listObjects } from './s3/listing.ts'
import { OldUploads } from './s3/oldUploads.ts'
import { parseS3Place } from './s3/place.ts'
import { openStoredObject } from './s3/storedObject.ts'
import { S3Upload } from './s3/upload.ts'
import {
  type Append,
  isObjectName,
  type OpenObject,
  type Store,
  type StoredObject,
} from './store.ts'

export class S3Store implements Store {
  readonly name: string
  readonly #client: S3Client
  readonly #conditional: ConditionalWrites
  readonly #oldUploads: OldUploads
  /** What all keys begin with; ends with a slash unless it is ''. */
  readonly #prefix: string

  /**
   * Asks the store nothing yet. Keys, and region and endpoint that the place lacks, come from the
   * environment. Throws STORE_PLACE, STORE_KEYS or SECRET_SHARED.
   */
  constructor(place: string, environment: NodeJS.ProcessEnv, limits?: S3Limits) {
    const parsed = parseS3Place(place, environment)
    this.name = parsed.name
    this.#client = new S3Client(parsed, new S3Credentials(environment), limits)
    this.#prefix = parsed.prefix && `${parsed.prefix}/`
    this.#conditional = new ConditionalWrites(this.#client, (name) => this.#prefix + name)
    this.#oldUploads = new OldUploads(this.#client, this.#prefix)
  }

  async list(prefix: string): Promise<readonly StoredObject[]> {
    return listObjects(this.#client, prefix, `${this.#keyOf(prefix)}/`)
  }

  async open(name: string): Promise<OpenObject> {
    return openStoredObject(this.#client, name, this.#keyOf(name))
  }

  async create(name: string, write: (append: Append) => Promise<void>): Promise<boolean> {
    const key = this.#keyOf(name)
    const upload = new S3Upload({
      ...{ client: this.#client, name, key },
      isConditional: await this.#conditional.areHonoured(),
      beforeParts: () => this.#oldUploads.end(),
    })
    try {
      await write((bytes) => upload.append(bytes))
      return await upload.finish()
    } catch (error) {
      await upload.abort()
      if (upload.isTaken) return false
      throw error
    }
  }

  async remove(name: string): Promise<void> {
    const key = this.#keyOf(name)
    const purpose = `remove ${name}`
    await this.#client.ask({ method: 'DELETE', key, purpose, expected: [404] })
  }

  #keyOf(name: string): string {
    if (!isObjectName(name)) throw new RangeError(`no name of an object: ${name}`)
    return this.#prefix + name
  }
}
