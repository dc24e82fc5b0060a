/** Which members have a change, as commands print it. */
import type { ToldInfo } from '../api/membership.ts'
import { shown, table } from './table.ts'
import { FULL_LOOK } from './terminalLook.ts'

/** One line for each member, and a last line that says when the others learn of the change. */
export function toldText(members: readonly ToldInfo[]): string {
  if (members.length === 0) return 'no other members\n'
  const rows = members.map(({ node, address, knows, detail }) => [
    node,
    address,
    knows ? 'knows it' : `not reached: ${shown(detail ?? '')}`,
  ])
  const away = members.filter(({ knows }) => !knows).length
  const later = away === 0 ? '' : `${away} not reached; each is told when it is back\n`
  return `${table(['member', 'address', ''], rows, FULL_LOOK)}${later}`
}
