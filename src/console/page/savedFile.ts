/** Files that the browser saves, made of what the page has. */
import { el } from './dom.ts'

export function saveJson(name: string, value: unknown): void {
  const text = `${JSON.stringify(value, undefined, 2)}\n`
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }))
  el('a', { href: url, download: name }).click()
  URL.revokeObjectURL(url)
}
