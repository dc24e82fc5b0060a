/** What a stranger without the cluster's secret can answer in place of a node. */
import { fakeProof } from './fakeProof.ts'
import type { Answering, RogueAnswer, RogueRequest } from './rogue.ts'

export const ROLE_PATHS: ReadonlySet<string> = new Set(['/leader', '/replica', '/_walcast/proof'])

/** Whose place he takes, and what he claims. */
export interface Pretence {
  readonly node: string
  readonly cluster: string
  readonly epoch: number
  /** HOST:PORT of the leader. */
  readonly address: string
}

/** He leads, and takes what he is given. */
export function leading({ node, cluster, epoch, address }: Pretence): Answering {
  const place = { node, cluster, address, instance: 'ffffffffffffffff', upMs: 10 ** 9 }
  const role = { role: 'leader', leader: node, ready: true, taking: true, lastLeader: node }
  const reached = { epoch, term: epoch, positionEpoch: epoch, txid: 10 ** 6, history: '' }
  const lineage = { incarnation: 'ffffffffffffffff', members: [], replicas: [] }
  return () => ({ body: { ...place, ...role, ...reached, ...lineage, timeMs: Date.now() } })
}

/** The same, with a proof that is made with another secret, or with none. */
export function forging(pretence: Pretence): Answering {
  const answer = leading(pretence)
  let asked = 0
  return async (request) => {
    const { body } = (await answer(request)) ?? {}
    const text = JSON.stringify(body)
    return { body: text, headers: { 'walcast-proof': proofOf(request, text, asked++) } }
  }

  function proofOf({ method, path, headers }: RogueRequest, body: string, times: number): string {
    const { node } = pretence
    const challenge = String(headers['walcast-challenge'] ?? '')
    const secret = times % 2 === 0 ? '' : 'the secret of somebody else'
    const proof = fakeProof({ secret, node, challenge, method, path, status: 200, body })
    // The id of the key that the asker knows stands in the challenge.
    return proof.replace(/key=\S+/, `key=${challenge.split(' ')[1] ?? 'none'}`)
  }
}

/** He asks a node what he is asked, and gives its answer as his own. */
export function passingOn(url: string): Answering {
  return async ({ method, path, headers }): Promise<RogueAnswer | undefined> => {
    const challenge = headers['walcast-challenge']?.toString()
    const asked = challenge === undefined ? {} : { 'walcast-challenge': challenge }
    const answer = await fetch(`${url}${path}`, { method, headers: asked }).catch(() => undefined)
    if (!answer) return undefined
    const proof = answer.headers.get('walcast-proof')
    const proven = proof === null ? {} : { headers: { 'walcast-proof': proof } }
    return { status: answer.status, body: await answer.text(), ...proven }
  }
}
