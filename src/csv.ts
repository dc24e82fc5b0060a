/** Lines of CSV: RFC 4180. */

/** A text as a cell: an empty one is quoted, so that NULL can be nothing. */
export function csvText(text: string): string {
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

export function csvLine(cells: readonly string[]): string {
  return `${cells.join(',')}\r\n`
}
