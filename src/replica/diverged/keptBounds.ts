/**
 * Decides which kept bundles go when they are too many or too large. Pure: the caller deletes and
 * logs.
 */

/** `routine`: the leader very likely has all of it. `diverged`: the leader may lack commits. */
export type KeptKind = 'routine' | 'diverged'

export interface KeptBounds {
  /** The most bundles; 0 keeps none. */
  readonly maxDiverged: number
  /** The most bytes of all their files together. */
  readonly maxDivergedBytes: number
}

export interface WeighedBundle {
  readonly name: string
  readonly kind: KeptKind
  readonly bytes: number
}

/**
 * The oldest routine bundles go first, then the oldest diverged ones, until both bounds hold or one
 * bundle is left. The new bundle `incoming` stays. A routine `incoming`, whose rows are not
 * compared yet, never drives out a diverged bundle; until then there may be one too many.
 */
export function overBounds<Bundle extends WeighedBundle>(
  oldestFirst: readonly Bundle[],
  { maxDiverged, maxDivergedBytes }: KeptBounds,
  incoming?: string,
): Bundle[] {
  const gone: Bundle[] = []
  let left = [...oldestFirst]
  const others = (kind: KeptKind) =>
    left.find((each) => each.kind === kind && each.name !== incoming)
  const isPatient = left.some(({ name, kind }) => name === incoming && kind === 'routine')
  const bytes = () => left.reduce((sum, each) => sum + each.bytes, 0)
  while (left.length > 1 && (left.length > maxDiverged || bytes() > maxDivergedBytes)) {
    const next = others('routine') ?? (isPatient ? undefined : others('diverged'))
    if (!next) break
    gone.push(next)
    left = left.filter((each) => each !== next)
  }
  return gone
}
