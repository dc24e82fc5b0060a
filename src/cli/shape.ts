/**
 * What JSON has to look like before it is read: pure checks, composed like the types that they
 * stand for. Other fields are allowed, since a newer node may send more.
 */

/** Says what is wrong with `value`, which is at `place`; undefined when nothing is. */
export type Shape = (value: unknown, place: string) => string | undefined

function shape(isOk: (value: unknown) => boolean, name: string): Shape {
  return (value, place) => (isOk(value) ? undefined : `${place} is not ${name}`)
}

/** No text of a node is longer, and no list. A table pads every cell to the widest. */
const MAX_CHARS = 8192
const MAX_ENTRIES = 10_000

export const text = shape(
  (value) => typeof value === 'string' && value.length <= MAX_CHARS,
  'a text',
)
export const flag = shape((value) => typeof value === 'boolean', 'true or false')
export const real = shape(
  (value) => typeof value === 'number' && Number.isFinite(value),
  'a number',
)
export const count = shape((value) => Number.isSafeInteger(value) && Number(value) >= 0, 'a count')

export function oneOf(values: readonly string[]): Shape {
  return shape((value) => values.some((each) => each === value), values.join(' or '))
}

export function nullable(inner: Shape): Shape {
  return (value, place) => (value === null ? undefined : inner(value, place))
}

export function listOf(inner: Shape): Shape {
  return (value, place) => {
    if (!Array.isArray(value) || value.length > MAX_ENTRIES) return `${place} is not a list`
    for (const [i, each] of value.entries()) {
      const wrong = inner(each, `${place}[${i}]`)
      if (wrong !== undefined) return wrong
    }
    return undefined
  }
}

/**
 * An object of which every value is `inner`, whatever its names. What is wrong is told by number: a
 * name may hold anything.
 */
export function mapOf(inner: Shape): Shape {
  return (value, place) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return `${place} is not an object`
    return listOf(inner)(Object.values(value), place)
  }
}

/** An object with all fields of `required`; those of `optional` may be missing. */
export function fields(
  required: Readonly<Record<string, Shape>>,
  optional: Readonly<Record<string, Shape>> = {},
): Shape {
  return (value, place) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return `${place} is not an object`
    const given = value as Readonly<Record<string, unknown>>
    const at = (name: string) => (place === WHOLE ? name : `${place}.${name}`)
    for (const [name, inner] of Object.entries({ ...required, ...optional })) {
      const isThere = Object.hasOwn(given, name)
      if (!isThere && Object.hasOwn(optional, name)) continue
      const wrong = isThere ? inner(given[name], at(name)) : `${at(name)} is missing`
      if (wrong !== undefined) return wrong
    }
    return undefined
  }
}

/** The place of a whole answer. */
export const WHOLE = 'it'
