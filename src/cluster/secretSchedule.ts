/**
 * Moves the secrets in force with the trust record and with the clock: a new one settles, an old
 * one ends. Says once when the secret from the environment has ended.
 */
import type { Logger } from 'pino'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'
import { type ClusterSecrets, secretId } from '../security/clusterSecrets.ts'
import { type SecretsInForce, secretsInForce } from './secretsInForce.ts'
import type { TrustFile } from './trustFile.ts'

/** The longest time between two looks: the clock of a machine may be set. */
const LOOK_MS = 60_000

export interface SecretScheduleParts {
  readonly file: Pick<TrustFile, 'record' | 'on'>
  /** From the environment. */
  readonly given: string | undefined
  readonly secrets: ClusterSecrets
  readonly log: Pick<Logger, 'info' | 'warn'>
  nowMs(): number
}

export class SecretSchedule {
  readonly #parts: SecretScheduleParts
  #timer: Timer | undefined
  #isStopped = false
  #hasWarned = false

  constructor(parts: SecretScheduleParts) {
    this.#parts = parts
    parts.file.on('changed', () => this.#look())
    this.#look()
  }

  stop(): void {
    this.#isStopped = true
    cancelTimer(this.#timer)
  }

  #look(): void {
    if (this.#isStopped) return
    const { file, given, nowMs } = this.#parts
    const atMs = nowMs()
    const inForce = secretsInForce(given, file.record, atMs)
    const { ended, nextChangeMs } = inForce
    this.#apply(inForce)
    if (given !== undefined && ended.includes(given)) this.#warn(secretId(given))
    cancelTimer(this.#timer)
    if (nextChangeMs === Infinity) return
    const afterMs = Math.min(Math.max(1, nextChangeMs - atMs), LOOK_MS)
    this.#timer = setTimer(() => this.#look(), afterMs).unref()
  }

  #apply({ good, ...others }: SecretsInForce): void {
    const { secrets, log } = this.#parts
    const before = secrets.ids
    const ids = good.map(secretId)
    secrets.replace(good, others)
    const [signs] = ids
    if (before.length > 0 && signs !== before[0])
      log.info({ id: signs, before: before[0] }, 'another secret of the cluster signs now')
  }

  #warn(id: string): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    this.#parts.log.warn(
      { secret: id },
      'the secret from the environment was replaced by walcast rotate-secret and has ended; this ' +
        "node goes on with the cluster's own: remove WALCAST_SECRET or WALCAST_SECRET_FILE",
    )
  }
}
