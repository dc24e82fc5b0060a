import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type KeptKind, overBounds } from '../../../src/replica/diverged/keptBounds.ts'

/** `r3` is a routine bundle of 3 bytes, `d` a diverged one. The oldest comes first. */
function bundles(text: string) {
  return text
    .split(' ')
    .filter(Boolean)
    .map((each, i) => ({
      name: `${i}${each}`,
      kind: (each.startsWith('r') ? 'routine' : 'diverged') as KeptKind,
      bytes: Number(each.slice(1)),
    }))
}

function gone(
  text: string,
  maxDiverged: number,
  maxDivergedBytes: number,
  isIncoming: boolean,
): string {
  const all = bundles(text)
  const incoming = isIncoming ? all.at(-1)?.name : undefined
  return overBounds(all, { maxDiverged, maxDivergedBytes }, incoming)
    .map(({ name }) => name)
    .join(' ')
}

test('the oldest routine bundles go first, then the oldest diverged ones, the newest never', () => {
  for (const [text, count, bytes, isIncoming, expected] of [
    ['d1 r1 d1', 3, 10, true, ''],
    ['d1 r1 d1', 2, 10, true, '1r1'],
    ['d1 r1 r1 d1', 2, 10, true, '1r1 2r1'],
    ['d1 r1 d1', 1, 10, true, '1r1 0d1'],
    ['d1 d1', 1, 10, true, '0d1'],
    ['d5 r1 d5', 9, 10, true, '1r1'],
    ['d5 d5 d5', 9, 10, true, '0d5'],
    ['d1 d99', 9, 10, true, '0d1'],
    ['d99', 9, 10, true, ''],
    ['d99', 9, 10, false, ''],
    // A routine bundle that is not compared yet drives out no diverged one, and goes later.
    ['d1 d1 r1', 2, 10, true, ''],
    ['d1 d1 r1', 2, 10, false, '2r1'],
    ['d1 r1 r1', 2, 10, true, '1r1'],
  ] as const)
    assert.equal(gone(text, count, bytes, isIncoming), expected, `${text} (${count}, ${bytes})`)
})

test('the bounds hold or one bundle is left, and routine bundles go before diverged ones', () => {
  const bundle = fc
    .tuple(fc.constantFrom('r', 'd'), fc.nat(20))
    .map(([kind, bytes]) => `${kind}${bytes}`)
  fc.assert(
    fc.property(
      fc.array(bundle, { maxLength: 10 }),
      fc.integer({ min: 1, max: 8 }),
      fc.nat(60),
      (texts, maxDiverged, maxDivergedBytes) => {
        const all = bundles(texts.join(' '))
        const dropped = overBounds(all, { maxDiverged, maxDivergedBytes })
        const left = all.filter((each) => !dropped.includes(each))
        const bytes = left.reduce((sum, each) => sum + each.bytes, 0)
        assert.ok(left.length <= 1 || (left.length <= maxDiverged && bytes <= maxDivergedBytes))
        const isRoutine = ({ kind }: { readonly kind: KeptKind }) => kind === 'routine'
        assert.ok(
          !dropped.some(({ kind }) => kind === 'diverged') || left.filter(isRoutine).length <= 1,
        )
      },
    ),
  )
})
