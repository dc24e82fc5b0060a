/** The defaults of the table of options as values. */

import type { NodeOptions } from './nodeOptions.ts'
import { NODE_OPTIONS } from './options.ts'
import { parseValue } from './optionValues.ts'

/** Every option at its default. Options without a default are missing. */
export function defaultOptions(): Partial<NodeOptions> {
  const options: Record<string, unknown> = { standby: false }
  for (const { key, flag, kind, default: text } of NODE_OPTIONS)
    if (text !== undefined) options[key] = parseValue(flag, kind, text)
  return options
}
