/** Files that the browser saves, made of what the page has. */
import { el } from './dom.ts'

export function saveJson(name: string, value: unknown): void {
  saveText(name, 'application/json', `${JSON.stringify(value, undefined, 2)}\n`)
}

/** `type`: its media type. */
export function saveText(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }))
  el('a', { href: url, download: name }).click()
  URL.revokeObjectURL(url)
}
