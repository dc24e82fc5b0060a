/** The sections of suites whose rows are of several kinds, and what they were to reach. */
import type { KeptResult } from '../result.ts'
import { escapeMarkup } from './escape.ts'
import { goalsOf } from './goals.ts'
import { unique } from './summary.ts'
import { resultTable } from './tables.ts'

/** A table for each part, with the columns of that part only. */
export function partSections(result: KeptResult): string {
  return unique(result.rows.map((row) => row['part']))
    .map((part) => {
      const rows = result.rows.filter((row) => row['part'] === part)
      return `<h3>${escapeMarkup(String(part ?? ''))}</h3>${resultTable({ ...result, rows })}`
    })
    .join('\n')
}

/** Empty when the result can judge none. */
export function goalTable(result: KeptResult): string {
  const goals = goalsOf([result])
  if (goals.length === 0) return ''
  const head = ['goal', 'measured', 'met', 'made of']
    .map((name) => `<th scope="col">${name}</th>`)
    .join('')
  const rows = goals.map(({ goal, result: measured, isMet, because }) => {
    const cells = [goal, measured, isMet ? 'yes' : 'no', because]
    return `<tr>${cells.map((cell) => `<td>${escapeMarkup(cell)}</td>`).join('')}</tr>`
  })
  return (
    `<div class="scroll"><table><thead><tr>${head}</tr></thead>` +
    `<tbody>${rows.join('\n')}</tbody></table></div>`
  )
}
