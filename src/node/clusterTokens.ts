/**
 * The tokens of the cluster, as this node knows them. A new one, or the end of one, is a change of
 * the trust record: all other nodes come to know it, whoever of them leads.
 */
import type { Databases } from '../api/databases.ts'
import type {
  CreatedToken,
  RevokedAnswer,
  TokenDesk,
  TokenInfo,
  TokenRequest,
  TokensAnswer,
} from '../api/tokens.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { withoutToken, withToken } from '../cluster/trustChanges.ts'
import type { TrustFile } from '../cluster/trustFile.ts'
import { MAX_TRUST_TIME_MS, type TrustToken } from '../cluster/trustRecord.ts'
import { WalcastError } from '../errors.ts'
import type { Metrics, TokenMetrics } from '../health/metrics.ts'
import type { AuditLog } from '../notify/auditLog.ts'
import type { Clock } from '../platform/clock.ts'
import type { ClusterSecrets } from '../security/clusterSecrets.ts'
import { newToken } from '../security/token.ts'
import { TokenCheck } from '../security/tokenCheck.ts'
import type { TokenGateParts, TokenRefusal } from '../server/tokenGate.ts'
import { TokenJournal } from './tokenJournal.ts'

export interface ClusterTokensParts {
  readonly trust: { readonly file: TrustFile; readonly digest: string }
  readonly secrets: Pick<ClusterSecrets, 'isOpen'>
  readonly clock: Clock
  readonly audit: Pick<AuditLog, 'append'>
  readonly nodeFile: Pick<NodeFile, 'record'>
  readonly databases: Databases
  readonly metrics: Pick<Metrics, 'tokens'>
}

export class ClusterTokens implements TokenDesk, TokenGateParts {
  readonly check: TokenCheck
  readonly #parts: ClusterTokensParts
  readonly #journal: TokenJournal
  readonly #metrics: TokenMetrics

  constructor(parts: ClusterTokensParts) {
    const { trust, clock, metrics } = parts
    this.#parts = parts
    this.#journal = new TokenJournal(parts)
    this.#metrics = metrics.tokens()
    this.check = new TokenCheck({
      tokens: () => trust.file.record.tokens,
      nowMs: () => clock.nowMs(),
    })
  }

  list(): TokensAnswer {
    const { tokens, revokedTokens } = this.#file().record
    const revoked = revokedTokens.map(({ id, revokedAt }) => ({ id, revoked: timeText(revokedAt) }))
    return { tokens: tokens.map(infoOf), revoked }
  }

  async create({ role, note, expiresMs }: TokenRequest, by: string): Promise<CreatedToken> {
    const file = this.#file()
    const { id, hash, text } = newToken()
    const nowMs = Math.floor(this.#parts.clock.nowMs())
    const lasting = { id, hash, role, note, createdAt: nowMs }
    const expiresAt = Math.min(nowMs + (expiresMs ?? 0), MAX_TRUST_TIME_MS)
    const token: TrustToken = expiresMs === undefined ? lasting : { ...lasting, expiresAt }
    await this.#journal.audited('create-token', by, `${id}, role ${role}`, () =>
      file.change((record) => withToken(record, token, nowMs)),
    )
    this.#metrics.onChanged('create')
    return { ...infoOf(token), token: text }
  }

  async revoke(id: string, by: string): Promise<RevokedAnswer> {
    const file = this.#file()
    const { tokens, revokedTokens } = file.record
    const known = [...tokens, ...revokedTokens].some((token) => token.id === id)
    const nowMs = this.#parts.clock.nowMs()
    await this.#journal.audited('revoke-token', by, id, () =>
      file.insist((record) => withoutToken(record, id, nowMs)),
    )
    this.#metrics.onChanged('revoke')
    return { revoked: id, known }
  }

  onRefused(why: TokenRefusal, address: string, id?: string): void {
    this.#metrics.onRefused(why)
    this.#journal.refused(why, address, id)
  }

  /** Throws TOKENS_WITHOUT_SECRET, or STARTING before the cluster is known. */
  #file(): TrustFile {
    const { trust, secrets } = this.#parts
    if (secrets.isOpen) throw new WalcastError('TOKENS_WITHOUT_SECRET')
    if (trust.digest === '') throw new WalcastError('STARTING')
    return trust.file
  }
}

function infoOf({ id, role, note, createdAt, expiresAt }: TrustToken): TokenInfo {
  const expires = expiresAt === undefined ? null : timeText(expiresAt)
  return { id, role, note, created: timeText(createdAt), expires }
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
