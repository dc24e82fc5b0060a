/** Makes text from others safe for a terminal, a log line or an error. */

/**
 * Control and format characters: line ends, escape sequences, marks that turn the direction of
 * text, half characters.
 */
const UNPLAIN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\s]+/gu

/** Characters that a terminal may take for a command, or that change how a text is seen. */
export const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** Whether text holds none of those characters. */
export function isPlain(text: string): boolean {
  return text.search(UNSEEN) < 0
}

/**
 * Puts text on one line of at most `maxChars`. Characters that could steer a terminal become
 * spaces.
 */
export function plainText(text: string, maxChars: number): string {
  return text
    .slice(0, 4 * maxChars)
    .replace(UNPLAIN, ' ')
    .trim()
    .slice(0, maxChars)
}
