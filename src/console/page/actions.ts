/** What the page can be told to do. Each action is asked about first, then confirmed, then done. */
import type { QrDrawing } from '../../api/pairing.ts'
import type { TokenRole } from '../../security/tokenRoles.ts'
import type { Tone } from './health.ts'

export interface PlanLine {
  readonly tone: Tone
  readonly text: string
  /** Whether it is to be copied. */
  readonly isTaken?: boolean
  /** The same for a camera. */
  readonly qr?: QrDrawing | undefined
}

/** The answer of the dry run, and what to do with it. */
export interface Plan {
  readonly lines: readonly PlanLine[]
  /** The command that does the same; undefined when nothing can be done. */
  readonly command: string | undefined
  /** What is to be accepted by a tick, such as the loss of transactions; undefined: nothing. */
  readonly accepts?: string | undefined
  /** What the last button says; undefined: the action cannot be done. */
  readonly button: string | undefined
  /** Whether its button warns; not unless given. */
  readonly isDangerous?: boolean
  /** Does it. Gives the lines of the result. Throws Refusal. */
  run(): Promise<readonly PlanLine[]>
  /** Another action that fits better, such as a switchover while the leader lives. */
  readonly instead?: Action
}

export interface Action {
  readonly title: string
  /** What it does, in a sentence or two. */
  readonly does: string
  readonly needs: TokenRole
  /** The dry run. Throws Refusal. */
  plan(): Promise<Plan>
}

/** Who asked, in the audit log; the node adds the token and the address. */
export const BY = 'console'

export function line(tone: Tone, text: string): PlanLine {
  return { tone, text }
}

/** A text to be taken elsewhere. */
export function takenLine(text: string, qr?: QrDrawing): PlanLine {
  return { tone: 'quiet', text, isTaken: true, qr }
}
