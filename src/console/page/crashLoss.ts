/** What a crash of the leader would lose, by where the nodes say that they stand. Pure. */
import type { FitnessAnswer, MemberState } from '../../api/roleAnswers.ts'
import { plural } from './format.ts'

export type Places = Pick<FitnessAnswer, 'node' | 'epoch' | 'txid'> & {
  readonly members: readonly Pick<MemberState, 'node' | 'epoch' | 'txid'>[]
}

/**
 * Commits of `leader` that `node` lacks; null when one of them does not answer, or when they stand
 * in different epochs.
 */
export function crashLoss(
  { members, ...asked }: Places,
  leader: string,
  node: string,
): number | null {
  const [from, to] = [leader, node].map((id) =>
    [asked, ...members].find((place) => place.node === id),
  )
  if (from?.txid === undefined || to?.txid === undefined || from.epoch !== to.epoch) return null
  return Math.max(0, from.txid - to.txid)
}

/** Such as "nothing" or "3 transactions". */
export function crashLossText(loss: number | null): string {
  if (loss === null) return 'an unknown number of transactions'
  return loss === 0 ? 'nothing' : plural(loss, 'transaction')
}
