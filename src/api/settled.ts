/** `GET /_walcast/settle`: a position that contains every commit made before the question. */
import type { NodeRole } from './roleAnswers.ts'

export const SETTLE_PATH = '/_walcast/settle'

export interface SettleAnswer {
  readonly node: string
  readonly role: NodeRole
  readonly epoch: number
  readonly txid: number
  /** In which the node leads; '' while it does not lead. */
  readonly incarnation: string
  /** State checksum there, 16 hex digits. */
  readonly checksum: string
  /** False while a huge transaction waits to be captured: the position lacks commits then. */
  readonly isCaptured: boolean
}
