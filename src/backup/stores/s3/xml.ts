/**
 * Reads the XML that S3 stores answer with: elements, text, and the references for single
 * characters. Anything else that XML knows (document types, entities, CDATA, instructions) is
 * refused, since no store sends it and each of them has done harm.
 *
 * It is less than what a package brings to be strict, and it bounds depth and number as it reads.
 */
export interface XmlElement {
  readonly name: string
  /** Text of an element without others in it. */
  readonly text: string
  readonly children: readonly XmlElement[]
}

/** A page of a list has 1000 objects of at most a dozen elements. */
const MAX_ELEMENTS = 40_000
const MAX_DEPTH = 8
const MAX_ATTRIBUTES_CHARS = 2000

const DECLARATION = /^\s*<\?xml\s[^?<>]{0,200}\?>/
const OPENING = /<([A-Za-z_][\w.:-]{0,63})((?:\s[^<>]*?)?)(\/?)>/y
const CLOSING = /<\/([A-Za-z_][\w.:-]{0,63})\s{0,9}>/y
const REFERENCE = /&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([0-9A-Fa-f]{1,6}));|&/g
const NAMED: Readonly<Record<string, string>> = {
  lt: '<',
  gt: '>',
  amp: '&',
  quot: '"',
  apos: "'",
}

interface Open {
  readonly name: string
  readonly children: XmlElement[]
  text: string
}

/** Throws an Error for what is not well-formed, or more than the bounds. */
export function readXml(bytes: Uint8Array): XmlElement {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(DECLARATION, '')
  const top: Open = { name: '', children: [], text: '' }
  const open: Open[] = [top]
  let elements = 0
  for (let at = 0; at < text.length; ) {
    const here = open[open.length - 1]
    if (text[at] !== '<') {
      const end = text.indexOf('<', at)
      const piece = text.slice(at, end < 0 ? text.length : end)
      here.text += unescaped(piece)
      at += piece.length
      continue
    }
    const closing = matchAt(CLOSING, text, at)
    if (closing) {
      if (open.length === 1 || closing[1] !== here.name) throw new Error(`stray </${closing[1]}>`)
      open.pop()
      open[open.length - 1].children.push(closed(here))
      at += closing[0].length
      continue
    }
    const opening = matchAt(OPENING, text, at)
    if (!opening || opening[2].length > MAX_ATTRIBUTES_CHARS)
      throw new Error(`no element begins at ${at}`)
    if (++elements > MAX_ELEMENTS || open.length > MAX_DEPTH) throw new Error('too many elements')
    const begun: Open = { name: opening[1], children: [], text: '' }
    if (opening[3]) here.children.push(closed(begun))
    else open.push(begun)
    at += opening[0].length
  }
  if (open.length > 1) throw new Error(`<${open[open.length - 1].name}> does not end`)
  const { children } = closed(top)
  if (children.length !== 1) throw new Error('it is not one element')
  return children[0]
}

/** Text of the one child of this name; undefined when there is none. Throws an Error for two. */
export function childText({ children }: XmlElement, name: string): string | undefined {
  const found = children.filter((child) => child.name === name)
  if (found.length > 1) throw new Error(`<${name}> is there twice`)
  return found[0]?.text
}

/** Throws an Error when there is none. */
export function neededText(element: XmlElement, name: string): string {
  const text = childText(element, name)
  if (text === undefined) throw new Error(`<${element.name}> has no <${name}>`)
  return text
}

/** Stands in text of an element of one of XML's five names; `"` and `'` for attributes. */
export function escapeXml(text: string): string {
  return text.replace(/[<>&"']/g, (char) => `&#${char.charCodeAt(0)};`)
}

function closed({ name, children, text }: Open): XmlElement {
  if (children.length > 0 && text.trim() !== '') throw new Error(`<${name}> has stray text`)
  return { name, children, text: children.length > 0 ? '' : text }
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

function unescaped(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(REFERENCE, (whole, name?: string, decimal?: string, hex?: string) => {
    if (name !== undefined) return NAMED[name]
    if (whole === '&') throw new Error('an unknown reference')
    const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
    if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
      throw new Error('a reference to no character')
    return String.fromCodePoint(code)
  })
}
