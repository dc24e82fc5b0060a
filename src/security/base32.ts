/**
 * Crockford's base32 (https://www.crockford.com/base32.html), for what a person copies or types. It
 * has no look-alikes: small letters, O for 0, I and L for 1 are read as what was meant.
 */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const LOOK_ALIKES: Readonly<Record<string, string>> = { O: '0', I: '1', L: '1' }
const BITS = 5

/** Characters that `bytes` bytes take. */
export function base32Chars(bytes: number): number {
  return Math.ceil((bytes * 8) / BITS)
}

export function toBase32(bytes: Uint8Array): string {
  let text = ''
  let held = 0
  let bits = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    for (; bits >= BITS; bits -= BITS) text += ALPHABET[(held >> (bits - BITS)) & 31]
    held &= (1 << bits) - 1
  }
  return bits > 0 ? text + ALPHABET[(held << (BITS - bits)) & 31] : text
}

/**
 * Each run of bytes has one text only: the bits that are left over are 0. Throws an Error that says
 * what is wrong with the text, and never quotes it.
 */
export function fromBase32(text: string, maxBytes: number): Buffer {
  if (text.length > base32Chars(maxBytes)) throw new Error('it is too long')
  if (!/^[0-9a-z]*$/i.test(text)) throw new Error('it has a character that no such text has')
  const bytes: number[] = []
  let held = 0
  let bits = 0
  for (const given of text.toUpperCase()) {
    const value = ALPHABET.indexOf(LOOK_ALIKES[given] ?? given)
    if (value < 0) throw new Error('it has a character that no such text has')
    held = (held << BITS) | value
    bits += BITS
    if (bits >= 8) bytes.push((held >> (bits - 8)) & 0xff)
    if (bits >= 8) bits -= 8
    held &= (1 << bits) - 1
  }
  if (bits >= BITS || held !== 0) throw new Error(MISTYPED)
  return Buffer.from(bytes)
}

/** What a wrong checksum means to who typed the text. */
export const MISTYPED = 'a character of it is wrong, or some are missing'
