/**
 * The operator's own certificate and authority (`--tls-cert`, `--tls-key`, `--tls-ca`). A
 * certificate is renewed while the node runs, so the files are read again now and then, and at a
 * signal. What is broken then is not taken: the node goes on with what it has.
 */
import { X509Certificate } from 'node:crypto'
import type { Logger } from 'pino'
import { asWalcastError, messageOf, WalcastError } from '../errors.ts'
import { cancelTimer, nowMs, setRepeatingTimer, type Timer } from '../platform/time.ts'
import { keysOf, readPem } from './nodeKeys.ts'
import { contextOf, type ServedKeys, type UsedKeys } from './servedKeys.ts'

/** Paths of PEM files. */
export interface OperatorKeyPaths {
  readonly tlsCert: string
  readonly tlsKey: string
  readonly tlsCa?: string | undefined
}

const LOOK_MS = 10_000
/** How long before its end a certificate is spoken of. */
const SOON_MS = 7 * 24 * 3_600_000

/** Throws KEYS_BROKEN, CERTIFICATE_EXPIRED or SECRET_SHARED. */
export function readOperatorKeys({ tlsCert, tlsKey, tlsCa }: OperatorKeyPaths): UsedKeys {
  const keys = keysOf(needed(tlsKey, true), needed(tlsCert, false), tlsCert)
  const { validFrom, validTo } = new X509Certificate(keys.certificate)
  const now = nowMs()
  if (Date.parse(validTo) < now || Date.parse(validFrom) > now)
    throw new WalcastError('CERTIFICATE_EXPIRED', { path: tlsCert, from: validFrom, to: validTo })
  const used: UsedKeys = tlsCa === undefined ? keys : { ...keys, authority: needed(tlsCa, false) }
  try {
    if (used.authority !== undefined) new X509Certificate(used.authority)
    contextOf(used)
  } catch (error) {
    throw new WalcastError(
      'KEYS_BROKEN',
      { path: tlsCa ?? tlsCert, detail: messageOf(error) },
      error,
    )
  }
  return used
}

function needed(path: string, isPrivate: boolean): string {
  const text = readPem(path, isPrivate)
  if (text === undefined) throw new WalcastError('KEYS_BROKEN', { path, detail: 'no such file' })
  return text
}

/** Keeps the keys of a node those of the files. */
export class OperatorKeyWatch {
  readonly #paths: OperatorKeyPaths
  readonly #keys: ServedKeys
  readonly #log: Logger
  readonly #timer: Timer
  /** What was wrong at the last look; '' when nothing was. */
  #wrong = ''
  #hasWarned = false

  constructor(paths: OperatorKeyPaths, keys: ServedKeys, log: Logger, lookMs = LOOK_MS) {
    this.#paths = paths
    this.#keys = keys
    this.#log = log
    this.#timer = setRepeatingTimer(() => this.look(), lookMs).unref()
  }

  /** Never throws. Each failure is logged once. */
  look(): void {
    try {
      const read = readOperatorKeys(this.#paths)
      this.#wrong = ''
      this.#warnOfEnd(read)
      if (isSame(read, this.#keys.current)) return
      this.#keys.replace(read)
      this.#hasWarned = false
      this.#log.info(
        { path: this.#paths.tlsCert, fingerprint: read.fingerprint },
        'loaded a new certificate; new connections use it',
      )
    } catch (error) {
      this.#onBroken(asWalcastError(error))
    }
  }

  stop(): void {
    cancelTimer(this.#timer)
  }

  #onBroken(error: WalcastError): void {
    if (error.line === this.#wrong) return
    this.#wrong = error.line
    this.#log.error(
      { code: error.code, error: error.line },
      'cannot use the certificate in the files; going on with the one before',
    )
  }

  #warnOfEnd({ certificate }: UsedKeys): void {
    const { validTo } = new X509Certificate(certificate)
    if (this.#hasWarned || Date.parse(validTo) - nowMs() > SOON_MS) return
    this.#hasWarned = true
    this.#log.warn({ path: this.#paths.tlsCert, validTo }, 'the certificate of this node ends soon')
  }
}

function isSame(a: UsedKeys, b: UsedKeys): boolean {
  return a.key === b.key && a.certificate === b.certificate && a.authority === b.authority
}
