/** Reads the fields of JSON objects that others wrote: each has a kind and a bound. */
import { parseHostPort } from '../hostPort.ts'
import { plainText } from '../plainText.ts'
import { MAX_TRUST_TIME_MS } from './trustRecord.ts'

/** The longest name of a host, and its port. */
const MAX_ADDRESS_CHARS = 261
/** Control characters end lines and steer terminals. */
const CONTROL = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u

/** The fields of one object. Each method throws an Error when a field is not what it must be. */
export class Fields {
  readonly #fields: Readonly<Record<string, unknown>>
  readonly #what: string

  constructor(value: unknown, what: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new Error(`${what} is not an object`)
    this.#fields = value as Readonly<Record<string, unknown>>
    this.#what = what
  }

  value(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined
  }

  match(name: string, pattern: RegExp): string {
    const value = this.value(name)
    if (typeof value !== 'string' || !pattern.test(value)) throw this.#bad(name)
    return value
  }

  text(name: string, maxChars: number): string {
    const value = this.value(name)
    if (typeof value !== 'string' || value.length > maxChars || CONTROL.test(value))
      throw this.#bad(name)
    return value
  }

  /** A text that may go to a terminal as it is. */
  plain(name: string, maxChars: number): string {
    const value = this.text(name, maxChars)
    if (plainText(value, maxChars) !== value) throw this.#bad(name)
    return value
  }

  address(name: string): string {
    const value = this.text(name, MAX_ADDRESS_CHARS)
    if (value !== '' && !parseHostPort(value)) throw this.#bad(name)
    return value
  }

  time(name: string): number {
    const value = this.value(name)
    if (!Number.isSafeInteger(value) || Number(value) < 0 || Number(value) > MAX_TRUST_TIME_MS)
      throw this.#bad(name)
    return Number(value)
  }

  /** A whole number from 0 on. */
  count(name: string): number {
    const value = this.value(name)
    if (!Number.isSafeInteger(value) || Number(value) < 0) throw this.#bad(name)
    return Number(value)
  }

  timeIfThere<Name extends string>(name: Name): Partial<Record<Name, number>> {
    if (this.value(name) === undefined) return {}
    return { [name]: this.time(name) } as Record<Name, number>
  }

  list<Entry>(name: string, most: number, read: (fields: Fields) => Entry): Entry[] {
    const value = this.value(name)
    if (!Array.isArray(value) || value.length > most) throw this.#bad(name)
    return value.map((entry) => read(new Fields(entry, `an entry of ${name}`)))
  }

  #bad(name: string): Error {
    return new Error(`${name} of ${this.#what} is missing, of the wrong kind or out of bounds`)
  }
}
