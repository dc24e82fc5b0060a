/** Pauses and resumes role changes in the whole cluster. */
import type { PauseAnswer, PauseDesk, PauseInfo } from '../api/rolePause.ts'
import { pauseIn, withoutPause, withPause } from '../cluster/pauseSetting.ts'
import { type AuditParts, audited } from './auditedChange.ts'
import { knownTrust, type TrustInUse } from './knownTrust.ts'
import { type TellingParts, tellMembers } from './toldMembers.ts'

export interface ClusterPauseParts extends AuditParts, TellingParts {
  readonly trust: TellingParts['trust'] & TrustInUse
}

export class ClusterPause implements PauseDesk {
  readonly #parts: ClusterPauseParts

  constructor(parts: ClusterPauseParts) {
    this.#parts = parts
  }

  /** The pause in force, as this node knows it. */
  get now(): PauseInfo | undefined {
    const { trust, clock } = this.#parts
    const pause = pauseIn(trust.file.record, clock.nowMs())
    if (!pause) return undefined
    const { sinceMs, untilMs, by, reason } = pause
    return { since: isoTime(sinceMs), until: isoTime(untilMs), by, reason }
  }

  async pause(
    { forMs, reason }: { readonly forMs: number; readonly reason: string },
    by: string,
  ): Promise<PauseAnswer> {
    const { clock } = this.#parts
    const nowMs = clock.nowMs()
    const untilMs = nowMs + forMs
    const detail = `until ${isoTime(untilMs)}${reason === '' ? '' : `: ${reason}`}`
    await audited(this.#parts, { action: 'pause', by, detail }, () =>
      knownTrust(this.#parts.trust).change((record) =>
        withPause(record, this.#node, { untilMs, by, reason }, nowMs),
      ),
    )
    return this.#answer()
  }

  async resume(by: string): Promise<PauseAnswer> {
    const { clock } = this.#parts
    const was = this.now
    const detail = was ? `before ${was.until}` : 'nothing was paused here'
    await audited(this.#parts, { action: 'resume', by, detail }, () =>
      knownTrust(this.#parts.trust).insist((record) =>
        withoutPause(record, this.#node, clock.nowMs()),
      ),
    )
    return this.#answer()
  }

  async #answer(): Promise<PauseAnswer> {
    return { paused: this.now ?? null, members: await tellMembers(this.#parts) }
  }

  get #node(): string {
    return this.#parts.nodeFile.record.node
  }
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
