/** What the answer of `/_walcast/options` has to look like. */
import { ORIGINS } from '../options/optionOrigin.ts'
import { fields, flag, listOf, nullable, oneOf, text } from './shape.ts'

const ORIGIN = fields({ from: oneOf(ORIGINS), detail: text })

export const OPTIONS = fields({
  node: text,
  options: listOf(
    fields({
      ...{ name: text, group: text, help: text, origin: ORIGIN, isChanged: flag },
      ...{ value: nullable(text), default: nullable(text) },
    }),
  ),
  keys: listOf(
    fields({
      ...{ kind: oneOf(['secret', 'settings-key', 'certificate']), id: text, isInUse: flag },
      ...{ created: nullable(text), ends: nullable(text), origin: ORIGIN },
    }),
  ),
})
