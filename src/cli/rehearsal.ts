/**
 * A rehearsal: leadership really goes to another node and back, and each way is measured.
 */
import type { FitnessAnswer, MemberState, NodePlace, SwitchoverAnswer } from '../api/roleAnswers.ts'
import { asWalcastError, WalcastError } from '../errors.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import { fitnessOf, leaderOf as leaderKnownTo, postSwitchover } from './leadershipClient.ts'
import { addressTarget, type NodeTarget, targetText } from './nodeTarget.ts'

/** How long the old leader may take to follow, before leadership is handed back to it. */
const FOLLOW_MS = 30_000
const ASK_AGAIN_MS = 200

export interface RehearsalOptions {
  /** Any node of the cluster. */
  readonly node: NodeTarget
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
  const there = await goOver(
    first.target,
    addressTarget(target.address, options.node),
    target.node,
    options,
  )
  const second = addressTarget(there.switchover.to.address, options.node)
  try {
    await untilFit(first.target)
    const back = await goOver(second, first.target, first.fitness.node, options)
    return { ok: true, ways: [there, back], leader: back.switchover.to.node }
  } catch (error) {
    const leader = await whoLeads([first.target, second])
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
  node: NodeTarget,
): Promise<{ readonly target: NodeTarget; readonly fitness: FitnessAnswer }> {
  const asked = await fitnessOf(node)
  if (asked.role === 'leader') return { target: node, fitness: asked }
  const member = asked.members.find(({ role }) => role === 'leader')
  const target = (await leaderKnownTo(node)) ?? (member && addressTarget(member.address, node))
  if (!target) throw new WalcastError('NO_LEADER')
  const fitness = await fitnessOf(target)
  if (fitness.role !== 'leader')
    throw new WalcastError('NOT_LEADER', { address: targetText(target), role: fitness.role })
  return { target, fitness }
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
  source: NodeTarget,
  target: NodeTarget,
  toNode: string,
  { timeoutMs, by }: RehearsalOptions,
): Promise<RehearsedWay> {
  // The leader is asked last. Its commits between the two answers count as lost, so the loss is
  // never understated.
  const to = await fitnessOf(target)
  const from = await fitnessOf(source)
  const switchover = await postSwitchover(source, {
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
async function untilFit(node: NodeTarget): Promise<void> {
  const endMs = monotonicMs() + FOLLOW_MS
  while (monotonicMs() < endMs) {
    const fitness = await fitnessOf(node).catch(() => undefined)
    if (fitness?.fit && fitness.role !== 'leader') return
    await delay(ASK_AGAIN_MS)
  }
}

async function whoLeads(nodes: readonly NodeTarget[]): Promise<string> {
  const answers = await Promise.all(nodes.map((node) => fitnessOf(node).catch(() => undefined)))
  const leading = answers
    .filter((answer) => answer?.role === 'leader')
    .sort((a, b) => (b?.epoch ?? 0) - (a?.epoch ?? 0))
  return leading[0]?.node ?? 'no known node'
}
