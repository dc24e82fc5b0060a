/**
 * Which of the bundles that are kept aside go when there are too many or too large. Pure; who
 * throws them away says so.
 */

/** `routine`: the leader very likely had all of it. `diverged`: the leader may lack commits. */
export type KeptKind = 'routine' | 'diverged'

export interface KeptBounds {
  /** Bundles kept at most; 0 keeps none. */
  readonly maxDiverged: number
  /** Bytes of their files at most, all together. */
  readonly maxDivergedBytes: number
}

export interface WeighedBundle {
  readonly name: string
  readonly kind: KeptKind
  readonly bytes: number
}

/**
 * The oldest routine ones go first, then the oldest diverged ones, until both bounds are kept or
 * one bundle is left. `incoming` was just made and stays; while its rows are not compared, a
 * routine one drives no diverged one out and may be one too many.
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
