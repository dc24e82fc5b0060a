/**
 * Options of `walcast run` beside those of its node. Flags, environment, help and reference derive
 * from this table.
 */
import type { OptionSpec } from '../options/optionSpec.ts'

export type RunOption = Pick<OptionSpec, 'value' | 'help' | 'default'> & { readonly flag: string }

const TABLE = [
  {
    flag: 'ports',
    value: 'PORT,PORT',
    help: 'ports of 127.0.0.1 for the application, which finds its own in PORT; with two, a restart starts the new process on the other port while the old one serves. In place of --upstream',
  },
  {
    flag: 'role-change',
    value: 'HOW',
    help: "what the application gets when the node's role changes: restart, signal or ignore",
    default: 'restart',
  },
  {
    flag: 'role-signal',
    value: 'NAME',
    help: 'the signal of --role-change signal',
    default: 'SIGUSR1',
  },
  {
    flag: 'role-follow',
    value: 'TIME',
    help: 'how long a signalled application has to show that it knows its role; else it is restarted',
    default: '5s',
  },
  {
    flag: 'stop-timeout',
    value: 'TIME',
    help: 'from SIGTERM to SIGKILL',
    default: '10s',
  },
  {
    flag: 'restart',
    value: 'WHEN',
    help: 'start it again when it ends by itself: never, on-failure or always; after pauses that grow',
    default: 'never',
  },
] as const satisfies readonly RunOption[]

export type OwnFlag = (typeof TABLE)[number]['flag']

export const OWN_FLAGS: readonly OwnFlag[] = TABLE.map(({ flag }) => flag)
export const OWN_OPTIONS: readonly RunOption[] = TABLE

/** '' where an option has none. */
export function defaultOf(flag: OwnFlag): string {
  return OWN_OPTIONS.find((option) => option.flag === flag)?.default ?? ''
}

/** One line each, for the help. */
export function ownOptionLines(): string {
  return OWN_OPTIONS.map(({ flag, value, help, default: fallback }) => {
    const shown = `--${flag} ${value}`.padEnd(22)
    return `  ${shown} ${help}${fallback === undefined ? '' : ` [${fallback}]`}`
  }).join('\n')
}
