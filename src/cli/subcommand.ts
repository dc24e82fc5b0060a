/** Commands that take another command's name as their first argument. */
import { WalcastError } from '../errors.ts'
import { NODE_FLAGS } from './commandArguments.ts'
import { nearestName } from './nearestName.ts'
import { usage } from './usage.ts'

/** The one with this name. Throws USAGE, with the name that was perhaps meant. */
export function subcommandOf<Command>(
  commands: Readonly<Record<string, Command>>,
  command: string,
  name: string,
): Command {
  if (Object.hasOwn(commands, name)) return commands[name]
  const names = Object.keys(commands)
  const nearest = nearestName(name, names)
  const hint = nearest ? ` (did you mean ${nearest}?)` : ''
  throw new WalcastError('USAGE', {
    detail:
      names.length === 1
        ? `write "walcast ${command} ${names[0]}"${hint}`
        : `${command} takes one of ${names.join(', ')}${hint}`,
  })
}

/** Throws USAGE for a flag that was given and is not among `known`. `command`: with its name. */
export function requireFlags(given: object, known: readonly string[], command: string): void {
  const foreign = Object.keys(given).find((flag) => !known.includes(flag))
  if (foreign) throw new WalcastError('USAGE', { detail: `${command} takes no --${foreign}` })
}

/** One that asks a node, and takes one argument or none. */
export interface NodeSubcommand<Flags> {
  /** What it is, in words; undefined: none is taken. */
  readonly argument: string | undefined
  /** Beside those of every command that asks a node. */
  readonly flags: readonly string[]
  run(flags: Flags, argument: string): Promise<void>
}

/** Runs the one that the first of `positionals` names. Throws USAGE, and what it throws. */
export async function runSubcommand<Flags extends object>(
  commands: Readonly<Record<string, NodeSubcommand<Flags>>>,
  command: string,
  flags: Flags,
  positionals: readonly string[],
): Promise<void> {
  const [name = '', ...rest] = positionals
  const { argument, flags: known, run } = subcommandOf(commands, command, name)
  const most = argument === undefined ? 0 : 1
  if (rest.length !== most) throw usage(`${command} ${name} takes ${argument ?? 'no argument'}`)
  requireFlags(flags, [...Object.keys(NODE_FLAGS), ...known], `${command} ${name}`)
  await run(flags, rest[0] ?? '')
}
