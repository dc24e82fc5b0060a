/** The options in force as people read them: value, origin, and what each is for. Pure. */
import type { NodeOptions } from './nodeOptions.ts'
import { groupOf, OPTION_GROUPS } from './optionGroups.ts'
import { DEFAULT_ORIGIN, type OptionOrigin, type OptionOrigins } from './optionOrigin.ts'
import type { OptionSpec } from './optionSpec.ts'
import { NODE_OPTIONS } from './options.ts'
import { optionText } from './optionText.ts'
import { parseValue } from './optionValues.ts'

export interface ShownOption {
  /** The flag with its dashes; of what has no flag, the variable. */
  readonly name: string
  readonly group: string
  /** With its unit, and without what may be secret; null: it is not set. */
  readonly value: string | null
  /** The value that it has when nothing sets it; null: none. */
  readonly default: string | null
  readonly origin: OptionOrigin
  /** Whether the value is not the default. */
  readonly isChanged: boolean
  /** The text of the reference. */
  readonly help: string
}

/** What a command line knows of the options that it gives to a node. */
export interface GivenShown {
  readonly origins: OptionOrigins
  /** Options of the program beside those of the node: of its log, its secret, its application. */
  readonly others: readonly ShownOption[]
}

/** A value that the node has in place of the given one. */
export interface InForce {
  readonly value: NodeOptions[keyof NodeOptions]
  readonly origin: OptionOrigin
}

/** By the flag without its dashes. */
export type ValuesInForce = ReadonlyMap<string, InForce>

/**
 * Every option of a node. `origins`: undefined when a program has given the options itself.
 * `inForce`: what the node does not take from its options.
 */
export function shownOptions(
  options: Partial<NodeOptions>,
  origins: OptionOrigins | undefined,
  inForce: ValuesInForce = new Map(),
): ShownOption[] {
  const shown = NODE_OPTIONS.map((spec) => shownOption(spec, options, origins, inForce))
  const at = ({ group }: ShownOption) => OPTION_GROUPS.indexOf(group)
  return shown.sort((a, b) => at(a) - at(b))
}

function shownOption(
  spec: OptionSpec,
  options: Partial<NodeOptions>,
  origins: OptionOrigins | undefined,
  inForce: ValuesInForce,
): ShownOption {
  const { key, flag, help } = spec
  const other = inForce.get(flag)
  const value = textOf(spec, other ? other.value : options[key])
  const fallback = defaultText(spec)
  const isChanged = value !== fallback
  const given = origins ? origins.get(flag) : programOrigin(isChanged)
  const origin = other?.origin ?? given ?? DEFAULT_ORIGIN
  return {
    ...{ name: `--${flag}`, group: groupOf(flag), value, default: fallback, origin, isChanged },
    help,
  }
}

function textOf({ kind }: OptionSpec, value: unknown): string | null {
  if (kind === 'flag') return value === true ? 'on' : 'off'
  return optionText(kind, value) ?? null
}

function defaultText(spec: OptionSpec): string | null {
  const { flag, kind, default: text } = spec
  return textOf(spec, text === undefined ? undefined : parseValue(flag, kind, text))
}

function programOrigin(isChanged: boolean): OptionOrigin {
  return isChanged ? { from: 'program', detail: '' } : DEFAULT_ORIGIN
}
