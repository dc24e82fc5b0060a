/** What the table of options says of each option. */
import type { NodeOptions } from './nodeOptions.ts'

export type OptionKind =
  | 'text'
  | 'address'
  | 'addresses'
  | 'networks'
  | 'path'
  | 'flag'
  | 'bytes'
  | 'duration'
  | 'number'
  | 'url'
  | 'origin'
  | 'origins'
  | 'election'
  | 'prefixes'
  | 'place'
  | 'places'
  | 'backupOn'
  | 'schedule'
  | 'query'
  | 'keep'
  | 'cookie'
  | 'onStale'
  | 'statuses'
  | 'target'
  | 'upstreamCounts'
  | 'command'
  | 'webhook'
  | 'ackLevel'
  | 'fileMode'

export interface OptionSpec {
  readonly key: keyof NodeOptions
  readonly flag: string
  readonly kind: OptionKind
  readonly value: string
  readonly help: string
  readonly default?: string
  /** A smaller value is a mistake, most likely a size without a unit. */
  readonly least?: string
  /** The value 0 turns it off. */
  readonly zeroIsOff?: boolean
  readonly required?: boolean
  /** Without that option it does nothing, and giving it is a mistake. */
  readonly needs?: 'backup' | 'snapshotTo'
  readonly roles: readonly ('leader' | 'replica')[]
  /** Whether `--help` shows it; `--help --all` shows every option. */
  readonly common?: boolean
}

export const BOTH = ['leader', 'replica'] as const
export const LEADER = ['leader'] as const
export const REPLICA = ['replica'] as const

/** Whether an option only tunes a role. One without a default makes the node what it is. */
export function tunes(spec: Pick<OptionSpec, 'default'>): boolean {
  return spec.default !== undefined
}
