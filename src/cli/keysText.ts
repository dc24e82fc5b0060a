/** Secrets, keys and certificates by name, with their age, as a table for people. */
import type { KeyInfo } from '../api/optionsInForce.ts'
import { originText } from '../options/optionOrigin.ts'
import { type Cell, table } from './table.ts'
import { type Look, timeText } from './terminalLook.ts'

const WORDS: Readonly<Record<KeyInfo['kind'], string>> = {
  secret: 'cluster secret',
  'settings-key': 'key of settings',
  certificate: 'certificate',
}
const COLUMNS = ['key', 'id', 'made', 'ends', 'in use', 'from']

export function keysText(keys: readonly KeyInfo[], look: Look): string {
  if (keys.length === 0) return 'no secret and no key: this cluster is open\n'
  const rows = keys.map(({ kind, id, created, ends, isInUse, origin }): Cell[] => [
    WORDS[kind],
    id,
    created === null ? 'not known' : timeText(created, look),
    ends === null ? 'never' : timeText(ends, look),
    isInUse ? 'yes' : 'no',
    originText(origin),
  ])
  return table(COLUMNS, rows, look)
}
