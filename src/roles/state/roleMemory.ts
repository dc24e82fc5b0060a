/** What a node's role remembers from one phase to the next. */
export interface RoleMemory {
  /** Of the engine in place. */
  readonly role: 'none' | 'replica' | 'leader'
  /** The node is to end: no change begins any more. */
  readonly isEnded: boolean
  /** The engine is to stop when no change is under way. */
  readonly isToStop: boolean
  /** It stood still during a change, or its start: what is to be asked is asked after that. */
  readonly hasStoodStill: boolean
  readonly isLooking: boolean
  /** When the connection to the leader ended, by the time of day. */
  readonly lostMs: number
  /** The latest epoch that the others were asked about since a client had seen it, and when. */
  readonly askedEpoch: number
  readonly askedEpochMs: number
  /** Until then no raising of the epoch is tried again that the disk did not take. */
  readonly raiseAgainMs: number
  /** Since when the present leader may be alone; undefined before the first look. */
  readonly aloneSinceMs: number | undefined
  /** It is alone: writes are refused, and the fence is taken as soon as that goes. */
  readonly isClosed: boolean
  /** The leader moved there while something else was under way. */
  readonly moved: { readonly address: string; readonly epoch: number } | undefined
}

/** Of a process that begins. */
export const ROLE_MEMORY: RoleMemory = {
  role: 'none',
  isEnded: false,
  isToStop: false,
  hasStoodStill: false,
  isLooking: false,
  lostMs: 0,
  askedEpoch: 0,
  askedEpochMs: Number.NEGATIVE_INFINITY,
  raiseAgainMs: 0,
  aloneSinceMs: undefined,
  isClosed: false,
  moved: undefined,
}
