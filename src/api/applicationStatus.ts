/** The state of a node's application, as nodes and people are told it. */

export interface ApplicationStatus {
  readonly url: string
  readonly state: 'up' | 'down' | 'unknown'
  /** Whether it takes requests, writes included, by the last report. */
  readonly accepts: boolean
  /** Why it takes none or is down; '' otherwise. */
  readonly detail: string
  /** Requests that wait for it. */
  readonly held: number
}
