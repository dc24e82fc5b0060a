/** Asks nodes to change their role, and whether they are fit to lead. */

import {
  FITNESS_PATH,
  type FitnessAnswer,
  SWITCHOVER_PATH,
  type SwitchoverAnswer,
  type SwitchoverRequest,
} from '../api/roleAnswers.ts'
import { WalcastError } from '../errors.ts'
import { parseHostPort } from '../hostPort.ts'
import { monotonicMs } from '../platform/time.ts'
import { FITNESS, LEADER, SWITCHED } from './answerShapes.ts'
import { type Answer, bodyOf } from './nodeAnswer.ts'
import { askNode, getJson } from './nodeClient.ts'
import { addressTarget, type NodeTarget, targetText } from './nodeTarget.ts'
import { type Shape, WHOLE } from './shape.ts'

/** Longer than a node takes for any change of role by itself. */
const ROLE_CHANGE_MS = 120_000
/** How long a switchover may take unless the command says otherwise. */
const SWITCHOVER_MS = 60_000
const LOOK_MS = 10_000

export function fitnessOf(node: NodeTarget): Promise<FitnessAnswer> {
  return getJson<FitnessAnswer>(node, FITNESS_PATH, process.env, FITNESS)
}

/** The leader that a node knows, or undefined when it knows none. */
export async function leaderOf(node: NodeTarget): Promise<NodeTarget | undefined> {
  // 503 is an answer too: the node itself does not lead.
  const { body } = await askNode({
    method: 'GET',
    node,
    path: '/leader',
    environment: process.env,
    timeoutMs: LOOK_MS,
  })
  return LEADER(body, WHOLE) === undefined ? leaderIn(body['address'], node) : undefined
}

/**
 * POSTs a change of role. Throws the error that the node answered with, or NODE_UNREACHABLE, which
 * says that the outcome is unknown.
 */
export async function postChange<T>(
  node: NodeTarget,
  path: string,
  body: object,
  shape: Shape,
): Promise<T> {
  return bodyOf<T>(await askChange(node, path, body, ROLE_CHANGE_MS), shape)
}

/**
 * POSTs a switchover. When the node is not the leader but names one, that one is asked, once.
 */
export async function postSwitchover(
  node: NodeTarget,
  request: SwitchoverRequest,
): Promise<SwitchoverAnswer> {
  const timeoutMs = ROLE_CHANGE_MS + (request.timeoutMs ?? SWITCHOVER_MS)
  const first = await askChange(node, SWITCHOVER_PATH, request, timeoutMs)
  const leader =
    first.body['code'] === 'WALCAST_NOT_LEADER' ? leaderIn(first.body['leader'], node) : undefined
  return bodyOf(
    leader ? await askChange(leader, SWITCHOVER_PATH, request, timeoutMs) : first,
    SWITCHED,
  )
}

async function askChange(
  node: NodeTarget,
  path: string,
  body: object,
  timeoutMs: number,
): Promise<Answer> {
  const beganMs = monotonicMs()
  try {
    return await askNode({ method: 'POST', node, path, environment: process.env, timeoutMs, body })
  } catch (error) {
    if (!(error instanceof WalcastError) || error.key !== 'NODE_UNREACHABLE') throw error
    const isLate = monotonicMs() - beganMs >= timeoutMs
    if (!isLate) throw error
    const detail = `no answer within ${timeoutMs / 1000} s; see walcast status: it may still change`
    throw new WalcastError('NODE_UNREACHABLE', { url: targetText(node), detail }, error)
  }
}

function leaderIn(address: unknown, namedBy: NodeTarget): NodeTarget | undefined {
  return typeof address === 'string' && parseHostPort(address)
    ? addressTarget(address, namedBy)
    : undefined
}
