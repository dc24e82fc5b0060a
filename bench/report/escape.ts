/** Whatever comes from a result file, made harmless where it is shown. */

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text for HTML and SVG, in elements and in quoted attributes. */
export function escapeMarkup(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}

/**
 * Text for one cell of a Markdown table: it stays in its cell, and nothing in it is a link, a
 * comment or a tag.
 */
export function escapeMarkdown(text: string): string {
  return printable(text)
    .replace(/\s+/g, ' ')
    .replace(/[&<>]/g, (character) => ENTITIES[character] ?? '')
    .replace(/[\\`*_[\]|~!]/g, '\\$&')
}

/** JSON for a script element, which ends at the first `</script` whatever the JSON says. */
export function embeddableJson(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

/** Without control characters and halves of characters, which XML forbids. */
function printable(text: string): string {
  return text.replace(/[^\P{Cc}\t\n\r]|\p{Cs}|[\ufffe\uffff]/gu, '')
}
