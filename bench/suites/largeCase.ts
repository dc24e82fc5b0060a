/** One case of the suite. */

import type { LargePart } from '../options.ts'

/** One row of one round. */
export interface LargeCase {
  readonly part: LargePart
  readonly case: string
  readonly figures: Readonly<Record<string, number>>
}
