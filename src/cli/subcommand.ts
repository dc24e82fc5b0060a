/** Commands that take another command's name as their first argument. */
import { WalcastError } from '../errors.ts'
import { nearestName } from './nearestName.ts'

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
