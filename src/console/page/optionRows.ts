/** Which options a person sees who types into the filter, and in which order. Pure. */
import { originText } from '../../options/optionOrigin.ts'
import type { ShownOption } from '../../options/shownOptions.ts'

export interface OptionGroup {
  readonly title: string
  /** Those that differ from their default come first. */
  readonly options: readonly ShownOption[]
}

/** `query`: every word of it has to be in the name, value, origin, group or help of an option. */
export function optionGroups(
  options: readonly ShownOption[],
  query: string,
  isChangedOnly: boolean,
): OptionGroup[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  const matching = options.filter(
    (option) => (option.isChanged || !isChangedOnly) && hasAll(textOf(option), words),
  )
  const titles = [...new Set(matching.map(({ group }) => group))]
  return titles.map((title) => ({
    title,
    options: matching
      .filter(({ group }) => group === title)
      .sort((a, b) => Number(b.isChanged) - Number(a.isChanged)),
  }))
}

function hasAll(text: string, words: readonly string[]): boolean {
  return words.every((word) => text.includes(word))
}

function textOf({ name, group, value, origin, help }: ShownOption): string {
  return [name, group, value ?? '', originText(origin), help].join(' ').toLowerCase()
}
