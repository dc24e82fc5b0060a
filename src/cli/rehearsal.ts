/**
 * A rehearsal: leadership really goes to another node and back, and each way is measured.
 */
import type { FitnessAnswer, MemberState, NodePlace, SwitchoverAnswer } from '../api/roleAnswers.ts'
import { asWalcastError, WalcastError } from '../errors.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import { fitnessOf, leaderAddressOf, postSwitchover } from './leadershipClient.ts'

/** How long the old leader may take to follow, before leadership is handed back to it. */
const FOLLOW_MS = 30_000
const ASK_AGAIN_MS = 200

export interface RehearsalOptions {
  /** Any node of the cluster. */
  readonly node: string
  /** Id or address of the node that leads meanwhile. */
  readonly to: string | undefined
  readonly timeoutMs: number | undefined
  readonly by: string
}

/** One way, with what both nodes reported just before it. */
export interface RehearsedWay {
  readonly from: FitnessAnswer
  readonly to: FitnessAnswer
  /**
   * Commits that a crash of the leader just before would have left behind, at most; null when the
   * nodes stood in different epochs.
   */
  readonly atRisk: number | null
  readonly switchover: SwitchoverAnswer
}

export interface Rehearsal {
  readonly ok: boolean
  /** There, and back. */
  readonly ways: readonly RehearsedWay[]
  /** Who leads now, as far as is known. */
  readonly leader: string
  /** Why the way back failed. */
  readonly failure?: WalcastError
}

/**
 * Throws when the way there fails, with nothing changed. A failure of the way back is part of the
 * result.
 */
export async function rehearse(options: RehearsalOptions): Promise<Rehearsal> {
  const first = await leaderOf(options.node)
  const target = targetAmong(first.fitness, options.to)
  const there = await goOver(first.url, target.address, target.node, options)
  try {
    await untilFit(first.url)
    const back = await goOver(there.switchover.to.address, first.url, first.fitness.node, options)
    return { ok: true, ways: [there, back], leader: back.switchover.to.node }
  } catch (error) {
    const leader = await whoLeads([first.url, there.switchover.to.address])
    const detail = asWalcastError(error).message
    return {
      ok: false,
      ways: [there],
      leader,
      failure: new WalcastError('REHEARSAL_FAILED', { node: leader, detail }, error),
    }
  }
}

async function leaderOf(
  node: string,
): Promise<{ readonly url: string; readonly fitness: FitnessAnswer }> {
  const asked = await fitnessOf(node)
  if (asked.role === 'leader') return { url: node, fitness: asked }
  const url =
    (await leaderAddressOf(node)) ?? asked.members.find(({ role }) => role === 'leader')?.address
  if (!url) throw new WalcastError('NO_LEADER')
  const fitness = await fitnessOf(url)
  if (fitness.role !== 'leader')
    throw new WalcastError('NOT_LEADER', { address: url, role: fitness.role })
  return { url, fitness }
}

/** The node asked for, else the replica that is furthest. */
function targetAmong({ node, members }: FitnessAnswer, to: string | undefined): NodePlace {
  const others = members.filter((member) => member.node !== node)
  if (to !== undefined) {
    const address = to.replace(/^https?:\/\//, '').replace(/\/$/, '')
    const named = others.find((member) => member.node === to || member.address === address)
    if (!named) throw new WalcastError('NO_TARGET', { detail: `the leader knows no node ${to}` })
    return named
  }
  const [furthest] = others
    .filter(({ reached, role }) => reached && role !== 'leader')
    .sort((a, b) => placeInHistory(b) - placeInHistory(a))
  if (!furthest) throw new WalcastError('NO_TARGET', { detail: 'the leader reaches no replica' })
  return furthest
}

function placeInHistory({ txid }: MemberState): number {
  return txid ?? 0
}

async function goOver(
  fromUrl: string,
  toUrl: string,
  toNode: string,
  { timeoutMs, by }: RehearsalOptions,
): Promise<RehearsedWay> {
  // The leader is asked last. Its commits between the two answers count as lost, so the loss is
  // never understated.
  const to = await fitnessOf(toUrl)
  const from = await fitnessOf(fromUrl)
  const switchover = await postSwitchover(fromUrl, {
    to: toNode,
    by: `${by} (rehearsal)`,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })
  const atRisk = from.epoch === to.epoch ? Math.max(0, from.txid - to.txid) : null
  return { from, to, atRisk, switchover }
}

/**
 * Waits until the node is fit to lead again, but not for ever: the switchover then says why it is
 * not.
 */
async function untilFit(node: string): Promise<void> {
  const endMs = monotonicMs() + FOLLOW_MS
  while (monotonicMs() < endMs) {
    const fitness = await fitnessOf(node).catch(() => undefined)
    if (fitness?.fit && fitness.role !== 'leader') return
    await delay(ASK_AGAIN_MS)
  }
}

async function whoLeads(urls: readonly string[]): Promise<string> {
  const answers = await Promise.all(urls.map((url) => fitnessOf(url).catch(() => undefined)))
  const leading = answers
    .filter((answer) => answer?.role === 'leader')
    .sort((a, b) => (b?.epoch ?? 0) - (a?.epoch ?? 0))
  return leading[0]?.node ?? 'no known node'
}
