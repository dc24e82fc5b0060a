/** Errors of the catalogue, and how anything else that is thrown becomes one. */
import { CATALOGUE } from './errorCatalogue.ts'

export type ErrorCode = keyof typeof CATALOGUE

export type ErrorDetails = Readonly<Record<string, string | number | bigint>>

/** Fills a text of the catalogue. A placeholder without a detail stays. */
export function fill(template: string, details: ErrorDetails): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in details ? String(details[name]).slice(0, 500) : whole,
  )
}

/**
 * An error of the catalogue. `message` says what happened, `cure` what to do, `code` is `WALCAST_`
 * + its key.
 */
export class WalcastError extends Error {
  override readonly name = 'WalcastError'
  readonly key: ErrorCode
  readonly code: string
  readonly status: number
  readonly cure: string
  /** The details that filled its text. */
  readonly details: ErrorDetails

  /**
   * `details` fill the catalogue's text. `details.message` replaces it, for an error that another
   * node described; `details.cure` replaces what to do.
   */
  constructor(key: ErrorCode, details: ErrorDetails = {}, cause?: unknown) {
    const { status, what, cure } = CATALOGUE[key]
    super(
      details['message'] ? String(details['message']) : fill(what, details),
      cause === undefined ? undefined : { cause },
    )
    this.key = key
    this.details = details
    this.code = `WALCAST_${key}`
    this.status = status
    this.cure = details['cure'] ? String(details['cure']) : fill(cure, details)
  }

  /** One line for people. */
  get line(): string {
    return `${this.code}: ${this.message}; ${this.cure}`
  }
}

export function isErrorCode(key: string): key is ErrorCode {
  return Object.hasOwn(CATALOGUE, key)
}

/** The catalogue key of an error, or undefined for any other error. */
export function keyOf(error: unknown): ErrorCode | undefined {
  return error instanceof WalcastError ? error.key : undefined
}

/** The text of anything thrown, on one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error)
  return text.replace(/\s+/g, ' ').trim()
}

/** Node's errno name (`ENOENT`) or SQLite's result name (`SQLITE_BUSY`) of an error, or ''. */
export function systemCode(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

/** Turns anything thrown into an error of the catalogue: INTERNAL if it is not one. */
export function asWalcastError(error: unknown): WalcastError {
  return error instanceof WalcastError
    ? error
    : new WalcastError('INTERNAL', { detail: messageOf(error) }, error)
}

/** Turns a failure to listen on `address`, which `flag` names, into PORT_TAKEN or LISTEN_FAILED. */
export function listenError(flag: string, address: string, error: unknown): WalcastError {
  return systemCode(error) === 'EADDRINUSE'
    ? new WalcastError('PORT_TAKEN', { address, flag }, error)
    : new WalcastError('LISTEN_FAILED', { address, flag, detail: messageOf(error) }, error)
}

/** Turns a failure to stat, open or read `path` into DB_UNREADABLE. */
export function openError(path: string, error: unknown): WalcastError {
  if (error instanceof WalcastError) return error
  return new WalcastError('DB_UNREADABLE', { path, detail: messageOf(error) }, error)
}

/** Turns a failed write into DISK_FULL or WRITE_FAILED. */
export function writeError(path: string, error: unknown): WalcastError {
  if (error instanceof WalcastError) return error
  const code = systemCode(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') return new WalcastError('DISK_FULL', { path }, error)
  return new WalcastError('WRITE_FAILED', { path, detail: messageOf(error) }, error)
}
