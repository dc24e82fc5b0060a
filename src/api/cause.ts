/** Why a database lags, or why its WAL grows, as status tells it. */

export const CAUSE_CODES = [
  'long-reader',
  'slow-link',
  'link-down',
  'apply-bound',
  'leader-disk',
  'replica-disk',
  'replica-away',
  'leader-away',
  'wrong-cluster',
  'not-a-member',
  'source-behind',
  'page-size',
  'application-down',
  'snapshot-overdue',
  'archive-stalled',
  'proof-overdue',
  'lease-over',
  'lock-service-away',
  'not-promoted',
] as const

export type CauseCode = (typeof CAUSE_CODES)[number]

export interface Cause {
  readonly code: CauseCode
  /** One line for people: what is wrong, since when, and what to do. */
  readonly text: string
  /** The numbers and names in the text. Times end in Seconds, sizes in Bytes. */
  readonly [detail: string]: string | number
}
