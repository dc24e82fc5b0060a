/** Where the value of an option in force comes from. */

/**
 * `program`: a program that embeds the node gave it. `kept`: the node or its cluster keeps it, as
 * an id or a role. `derived`: it follows from other options.
 */
export const ORIGINS = [
  'default',
  'flag',
  'environment',
  'file',
  'program',
  'kept',
  'derived',
] as const
export type OriginKind = (typeof ORIGINS)[number]

export interface OptionOrigin {
  readonly from: OriginKind
  /** The flag, the variable, PATH:LINE of the file, what keeps it, or what it follows from. */
  readonly detail: string
}

/** By the flag without its dashes. An option that is missing has its default. */
export type OptionOrigins = ReadonlyMap<string, OptionOrigin>

export const DEFAULT_ORIGIN: OptionOrigin = { from: 'default', detail: '' }

/** Whether somebody gave the value: it is no default, and the node has not come to it by itself. */
export function isGiven({ from }: OptionOrigin): boolean {
  return from === 'flag' || from === 'environment' || from === 'file' || from === 'program'
}

const WORDS: Partial<Record<OriginKind, string>> = { kept: 'kept in', derived: 'derived from' }

/** `default`, `flag --listen`, `file /etc/walcast.toml:3`, `derived from --listen`. */
export function originText({ from, detail }: OptionOrigin): string {
  return detail === '' ? from : `${WORDS[from] ?? from} ${detail}`
}
