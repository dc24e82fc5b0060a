/** Options in force as a table for people, group by group. */
import { originText } from '../options/optionOrigin.ts'
import type { ShownOption } from '../options/shownOptions.ts'
import { type Cell, table } from './table.ts'
import type { Look } from './terminalLook.ts'

const NOT_SET = '-'
const COLUMNS = [{ heading: 'option', least: 20 }, { heading: 'value' }, { heading: 'from' }]

export function configText(options: readonly ShownOption[], look: Look): string {
  const groups = [...new Set(options.map(({ group }) => group))]
  return groups
    .map((group) => {
      const rows = options.filter((option) => option.group === group).map(cells)
      return `${group}\n${table(COLUMNS, rows, look)}`
    })
    .join('\n')
}

function cells({ name, value, origin }: ShownOption): Cell[] {
  return [name, value ?? NOT_SET, originText(origin)]
}
