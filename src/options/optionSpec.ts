/** What the table of options says of each. */
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
  | 'prefixes'
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
  /** What is below is not meant; a size without a unit, most likely. */
  readonly least?: string
  /** 0 turns it off. */
  readonly zeroIsOff?: boolean
  readonly required?: boolean
  readonly roles: readonly ('leader' | 'replica')[]
  /** Shown by `--help`; the others by `--help --all`. */
  readonly common?: boolean
}

export const BOTH = ['leader', 'replica'] as const
export const LEADER = ['leader'] as const
export const REPLICA = ['replica'] as const

/** Whether it only tunes a role. What has no default makes the node what it is. */
export function tunes(spec: Pick<OptionSpec, 'default'>): boolean {
  return spec.default !== undefined
}
