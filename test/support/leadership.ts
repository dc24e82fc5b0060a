/** The leadership actions of an operator, as tests ask for them, and the answers of nodes. */
import type { TestNode } from './testNode.ts'

export interface PromoteOptions {
  readonly force?: boolean
  readonly dryRun?: boolean
  readonly by?: string
}

export interface NodeName {
  readonly node: string
  readonly address: string
}

export interface Lost {
  readonly transactions: number | null
  readonly detail: string
}

export interface Promoted extends NodeName {
  readonly role: 'leader'
  readonly epoch: number
  readonly txid: number
  readonly from: { readonly epoch: number; readonly txid: number }
  readonly dryRun: boolean
  readonly reasons: readonly string[]
  readonly lost: Lost | null
  readonly oldLeader:
    | (NodeName & {
        readonly outcome: 'demoted' | 'unreachable' | 'none' | 'refused'
        readonly detail?: string
      })
    | null
  readonly unheard: readonly NodeName[]
  readonly tookMs: number
}

export interface Demoted {
  readonly node: string
  readonly role: 'replica' | 'standby'
  readonly epoch: number
  readonly txid: number
  readonly leader: string
  readonly tookMs: number
}

export interface SwitchedOver {
  readonly from: NodeName
  readonly to: NodeName
  readonly epoch: number
  readonly txid: number
  readonly pauseMs: number
  readonly heldWrites: number
  readonly stages: Readonly<Record<string, number>>
  readonly tookMs: number
}

export interface Fitness extends NodeName {
  readonly role: string
  readonly epoch: number
  readonly txid: number
  readonly fit: boolean
  readonly reasons: readonly string[]
  readonly leader: string
}

export interface AuditEntry {
  readonly at: string
  readonly node: string
  readonly action: string
  readonly outcome: 'done' | 'refused' | 'failed'
  readonly role: string
  readonly epoch: number
  readonly txid: number
  readonly by: string
  readonly detail?: string
}

/** The answer of a node that refused. */
export class Refused extends Error {
  readonly status: number
  /** Without `WALCAST_`. */
  readonly code: string

  constructor(status: number, text: string) {
    super(`${status} ${text}`)
    this.status = status
    this.code = codeOf(text)
  }
}

/** Throws Refused. */
export function promote(node: TestNode, options: PromoteOptions = {}): Promise<Promoted> {
  return act(node, 'promote', options)
}

/** Throws Refused. */
export function demote(
  node: TestNode,
  options: { readonly leader?: string; readonly by?: string } = {},
): Promise<Demoted> {
  return act(node, 'demote', options)
}

/** Throws Refused. `to`: id or address of a node. */
export function switchover(
  node: TestNode,
  options: { readonly to?: string; readonly timeoutMs?: number; readonly by?: string } = {},
): Promise<SwitchedOver> {
  return act(node, 'switchover', options)
}

export async function fitness(node: TestNode): Promise<Fitness> {
  return answerOf(await node.get('/_walcast/fitness'))
}

/** The newest last. */
export async function audit(node: TestNode): Promise<readonly AuditEntry[]> {
  return answerOf<{ readonly entries: readonly AuditEntry[] }>(await node.get('/_walcast/audit'))
    .entries
}

async function act<T>(node: TestNode, action: string, options: object): Promise<T> {
  return answerOf(await node.post(`/_walcast/${action}`, { by: 'test', ...options }))
}

function answerOf<T>({ status, text }: { readonly status: number; readonly text: string }): T {
  if (status !== 200) throw new Refused(status, text)
  return JSON.parse(text)
}

function codeOf(text: string): string {
  try {
    return String(Object(JSON.parse(text)).code).replace('WALCAST_', '')
  } catch {
    return ''
  }
}
