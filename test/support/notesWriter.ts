/** Writes notes all the time through one node at a time, and notes what fails. */
import { post, type Site } from './notesCluster.ts'
import { until } from './until.ts'

/** Writes that `goOn` waits for. */
const ENOUGH = 20

export class NotesWriter {
  readonly #name: string
  #site: Site
  #written = 0
  #isStopped = false
  #isBetween: Promise<void> = Promise.resolve()
  readonly #failed: string[] = []
  readonly #done: Promise<void>
  /** Bodies of the notes that were answered with 201. */
  readonly acknowledged: string[] = []

  /** `name`: begins the body of each note. */
  constructor(site: Site, name = 'note') {
    this.#name = name
    this.#site = site
    this.#done = this.#run()
  }

  get site(): Site {
    return this.#site
  }

  get failed(): readonly string[] {
    return this.#failed
  }

  /** Through another node from the next write on. */
  async moveTo(site: Site): Promise<void> {
    this.#site = site
    await this.#isBetween
    await this.goOn()
  }

  async goOn(): Promise<void> {
    const goal = this.#written + ENOUGH
    await until('writes go on', (saw) => {
      saw(String(this.#written))
      return this.#written >= goal || this.#failed.length > 0
    })
  }

  async stop(): Promise<readonly string[]> {
    this.#isStopped = true
    await this.#done
    return this.#failed
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const write = this.#write()
      this.#isBetween = write
      await write
    }
  }

  async #write(): Promise<void> {
    const body = `${this.#name} ${this.#written}`
    try {
      const answer = await post(`${this.#site.url}/notes`, body)
      if (answer.status === 201) this.acknowledged.push(body)
      else this.#failed.push(`${body}: ${answer.status} ${await answer.text()}`)
      await answer.arrayBuffer().catch(() => {})
    } catch (error) {
      this.#failed.push(`${body}: ${String(error)}`)
    }
    this.#written++
  }
}
