/** How a node's application is, as its status tells it. */

/** What nodes and people are told of it. */
export interface ApplicationStatus {
  readonly url: string
  readonly state: 'up' | 'down' | 'unknown'
  /** Whether it takes requests, writes too, by the last word. */
  readonly accepts: boolean
  /** Why it does not, or is down; '' otherwise. */
  readonly detail: string
  /** Requests that wait for it. */
  readonly held: number
}
