/** A position as it is written in headers, cookies and queries: `epoch-txid`. */
export interface Position {
  readonly epoch: number
  readonly txid: number
}

export function formatPosition(position: Position): string {
  return `${position.epoch}-${position.txid}`
}

/** Whether `a` is ahead of `b`, as far as numbers tell. */
export function isFurther(a: Position, b: Position): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.txid > b.txid)
}

/** Undefined when `text` is not a position. */
export function parsePosition(text: string): Position | undefined {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(text)
  return match ? { epoch: Number(match[1]), txid: Number(match[2]) } : undefined
}
