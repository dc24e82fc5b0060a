/** Flags of the commands that write a systemd unit; the rest is the node's. */
import { WalcastError } from '../errors.ts'
import { beforeCommand } from './runArguments.ts'

export interface UnitArguments {
  readonly isUnit: boolean
  /** What `--unit` names. */
  readonly unit: string | undefined
  /** The arguments of the node and its application. */
  readonly rest: readonly string[]
}

/** Names that systemd takes without escapes (systemd.unit(5)), well below its limit of 255. */
const UNIT_NAME = /^[\w:.-]{1,200}$/

/** Throws USAGE. */
export function unitArguments(args: readonly string[]): UnitArguments {
  const before = beforeCommand(args)
  const rest: string[] = []
  let isUnit = false
  let unit: string | undefined
  for (let at = 0; at < before.length; at++) {
    if (before[at] === '--systemd') isUnit = true
    else if (before[at] === '--unit') unit = before[++at] ?? ''
    else if (before[at].startsWith('--unit=')) unit = before[at].slice('--unit='.length)
    else rest.push(before[at])
  }
  if (unit !== undefined && !UNIT_NAME.test(unit))
    throw new WalcastError('USAGE', { detail: '--unit wants a name such as walcast-app' })
  return { isUnit, unit, rest: [...rest, ...args.slice(before.length)] }
}
