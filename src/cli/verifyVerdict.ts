/** What the scrubs and positions of several nodes prove. */
import type { PositionsAnswer, ScrubAnswer } from '../api/checks.ts'

/** What a node answered, or why it did not. */
export type Asked<T> = { readonly answer: T } | { readonly failure: string }

/** The positions of one node, with their state checksums. */
export interface NodePositions {
  readonly address: string
  readonly positions: PositionsAnswer
}

export type Agreement =
  | { readonly same: true; readonly position: string; readonly checksum: string }
  /** `isFinal`: asking again will not change it. */
  | { readonly same: false; readonly isFinal: boolean; readonly why: string }

/** Whether all nodes have the same state at the newest position that they all know. */
export function agreementOf(nodes: readonly NodePositions[]): Agreement {
  const unlike = differing(nodes, 'cluster') ?? differing(nodes, 'pageSize')
  if (unlike) return { same: false, isFinal: true, why: unlike }
  const twice = nodes.find(({ positions }, i) =>
    nodes.slice(0, i).some((other) => other.positions.node === positions.node),
  )
  if (twice)
    return { same: false, isFinal: true, why: `${twice.address} is a node that was named already` }
  const known = nodes.map(
    ({ positions }) =>
      new Map(
        positions.positions.map(({ epoch, txid, checksum }) => [`${epoch}-${txid}`, checksum]),
      ),
  )
  const position = [...known[0].keys()].findLast((each) =>
    known.every((checksums) => checksums.has(each)),
  )
  if (position === undefined) return { same: false, isFinal: false, why: whyNone(nodes) }
  const checksums = known.map((each) => each.get(position) ?? '')
  if (checksums.every((checksum) => checksum === checksums[0]))
    return { same: true, position, checksum: checksums[0] }
  const each = nodes.map(({ address }, i) => `${address} ${checksums[i]}`).join(', ')
  return { same: false, isFinal: true, why: `the states differ at ${position}: ${each}` }
}

function differing(
  nodes: readonly NodePositions[],
  what: 'cluster' | 'pageSize',
): string | undefined {
  const [first] = nodes
  const other = nodes.find(({ positions }) => positions[what] !== first.positions[what])
  if (!other) return undefined
  const kind = what === 'cluster' ? 'they are in different clusters' : 'their page sizes differ'
  const each = [first, other].map(({ address, positions }) => `${address} ${positions[what]}`)
  return `${kind}: ${each.join(', ')}`
}

function whyNone(nodes: readonly NodePositions[]): string {
  const each = nodes.map(({ address, positions }) => {
    const last = positions.positions.at(-1)
    const known = last ? `at ${last.epoch}-${last.txid}` : 'knows no trusted position'
    return `${address} ${known} (${positions.state})`
  })
  return `no common position: ${each.join(', ')}`
}

/** Whether a node's own file is sound. */
export function isSound(scrub: Asked<ScrubAnswer>): boolean {
  return (
    'answer' in scrub &&
    scrub.answer.whole &&
    scrub.answer.rottenPages === 0 &&
    scrub.answer.unexplained === 0
  )
}
