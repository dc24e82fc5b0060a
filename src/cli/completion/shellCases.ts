/** What the scripts of all shells choose by: pairs of command and option, grouped alike. Pure. */
import type { CommandWords, Takes } from './commandWords.ts'

export interface ValueCase {
  /** `command --option`, of all that take the same. */
  readonly after: readonly string[]
  readonly takes: Exclude<Takes, 'nothing'>
}

/** Options that take a value. */
export function valueCases(commands: readonly CommandWords[]): ValueCase[] {
  const groups = new Map<string, { after: string[]; takes: ValueCase['takes'] }>()
  for (const { name, options } of commands)
    for (const { flag, takes } of options) {
      if (takes === 'nothing') continue
      const key = typeof takes === 'string' ? takes : takes.join(' ')
      const group = groups.get(key) ?? { after: [], takes }
      group.after.push(`${name} --${flag}`)
      groups.set(key, group)
    }
  return [...groups.values()]
}

/** All options of a command, as they are typed. */
export function flagsOf({ options }: CommandWords): string {
  return options.map(({ flag }) => `--${flag}`).join(' ')
}
