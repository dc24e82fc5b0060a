/**
 * Options of `walcast run` beside those of its node. This table gives flags, environment, help and
 * reference.
 */
import type { OptionSpec } from '../options/optionSpec.ts'
import { optionLine } from './optionLine.ts'

export type RunOption = Pick<OptionSpec, 'value' | 'help' | 'default'> & { readonly flag: string }

const TABLE = [
  {
    flag: 'ports',
    value: 'PORT,PORT',
    help:
      'ports on 127.0.0.1 for the application, which finds its own in PORT; with two, a restart ' +
      'starts the new process on the other port while the old one serves; instead of --upstream',
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
    help: 'the signal that --role-change signal sends',
    default: 'SIGUSR1',
  },
  {
    flag: 'role-follow',
    value: 'TIME',
    help: 'restart a signalled application that has not shown its new role for so long',
    default: '5s',
  },
  {
    flag: 'stop-timeout',
    value: 'TIME',
    help: 'how long the application may take to end after SIGTERM, before SIGKILL',
    default: '10s',
  },
  {
    flag: 'restart',
    value: 'WHEN',
    help: 'restart an application that exits: never, on-failure or always, after growing pauses',
    default: 'never',
  },
] as const satisfies readonly RunOption[]

export type OwnFlag = (typeof TABLE)[number]['flag']

export const OWN_FLAGS: readonly OwnFlag[] = TABLE.map(({ flag }) => flag)
export const OWN_OPTIONS: readonly (RunOption & { readonly flag: OwnFlag })[] = TABLE

/** The default of an option, or '' when it has none. */
export function defaultOf(flag: OwnFlag): string {
  return OWN_OPTIONS.find((option) => option.flag === flag)?.default ?? ''
}

/** The options as the help shows them. */
export function ownOptionLines(): string {
  return OWN_OPTIONS.map(({ flag, value, help, default: fallback }) =>
    optionLine(`--${flag} ${value}`, fallback === undefined ? help : `${help} [${fallback}]`),
  ).join('\n')
}
