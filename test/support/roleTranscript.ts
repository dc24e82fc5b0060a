/**
 * What a node's role went through, as text: what happened, what the state became, what was ordered.
 * A transcript can be kept as a file and played again: its lines of facts and events are the input,
 * those of states and orders follow from them.
 *
 *   # a comment
 *   node-a : leading {"isClosed":true}        the state to begin with, and what it remembers
 *   node-a ~ {"nowMs":12000}                  facts that are other ones from now on
 *   node-a < fenced {}                        an event
 *   node-a = handingOver draining             the state that follows, and what it remembers anew
 *   node-a > drain {}                         an order
 */
import { type ErrorCode, WalcastError } from '../../src/errors.ts'
import { step } from '../../src/roles/roleState.ts'
import type { RoleEvent } from '../../src/roles/state/roleEvents.ts'
import type { RoleFacts } from '../../src/roles/state/roleFacts.ts'
import { ROLE_MEMORY } from '../../src/roles/state/roleMemory.ts'
import type { RoleState, Step } from '../../src/roles/state/rolePhases.ts'
import { beforeStart } from '../../src/roles/state/startup.ts'

type Fields = Readonly<Record<string, unknown>>

/** Orders with an end have no more of a transcript's interest than what they say. */
export function stepLines(node: string, before: RoleState, { state, orders }: Step): string[] {
  const changed = changes(before.memory, state.memory)
  const remembered = Object.keys(changed).length > 0 ? ` ${toText(changed)}` : ''
  const stage = 'stage' in state ? ` ${state.stage}` : ''
  return [
    `${node} = ${state.phase}${stage}${remembered}`,
    ...orders.map(({ do: what, ...about }) => `${node} > ${what} ${toText(about)}`),
  ]
}

export function eventLine(node: string, { type, ...about }: RoleEvent): string {
  return `${node} < ${type} ${toText(about)}`
}

/** What of the facts is not as it was; undefined when all is. */
export function factsLine(node: string, before: RoleFacts, now: RoleFacts): string | undefined {
  const changed = changes(before, now)
  return Object.keys(changed).length > 0 ? `${node} ~ ${toText(changed)}` : undefined
}

/**
 * The same transcript with the states and orders that follow from its input today. `initial`: facts
 * that hold unless it says otherwise.
 */
export function replay(text: string, initial: RoleFacts): string {
  const nodes = new Map<string, { state: RoleState; facts: RoleFacts }>()
  const lines: string[] = []
  for (const line of text.split('\n')) {
    const [, node = '', kind = '', rest = ''] = /^(\S+) ([:~<=>]) ?(.*)$/.exec(line) ?? []
    const known = nodes.get(node) ?? { state: stateOf('starting replica'), facts: initial }
    if (kind === ':') nodes.set(node, { state: stateOf(rest), facts: initial })
    if (kind === '~')
      nodes.set(node, { ...known, facts: merged(known.facts, Object(toValue(rest))) })
    if (kind !== '=' && kind !== '>') lines.push(line)
    if (kind !== '<') continue
    const [, type, about] = /^(\S+) ?(.*)$/.exec(rest) ?? []
    const event = { type, ...Object(toValue(about || '{}')) } as RoleEvent
    const next = step(known.facts, known.state, event)
    lines.push(...stepLines(node, known.state, next))
    nodes.set(node, { ...known, state: next.state })
  }
  return lines.join('\n')
}

/** `leading`, `following` or `starting ROLE`, with what is remembered. */
function stateOf(text: string): RoleState {
  const [, phase, was, memory] = /^(\S+) ?([a-z]*) ?({.*})?$/.exec(text) ?? []
  if (phase === 'starting') return beforeStart(was === 'leader' ? 'leader' : 'replica')
  const role = phase === 'leading' ? 'leader' : 'replica'
  const remembered = { ...ROLE_MEMORY, role, ...Object(memory ? toValue(memory) : {}) } as const
  return { phase: phase === 'leading' ? 'leading' : 'following', memory: remembered }
}

/** Parts of the facts of which each field is told by itself. */
const PARTS: ReadonlySet<string> = new Set(['record', 'copy', 'led'])

function changes(before: object, now: object, parts = PARTS): Fields {
  const [old, next] = [before as Fields, now as Fields]
  return Object.fromEntries(
    Object.keys({ ...old, ...next }).flatMap((key): [string, unknown][] => {
      const [was, is] = [old[key], next[key]]
      if (was === is || toText(was) === toText(is)) return []
      if (parts.has(key) && isObject(was) && isObject(is))
        return [[key, changes(was, is, NO_PARTS)]]
      return [[key, is ?? null]]
    }),
  )
}

const NO_PARTS: ReadonlySet<string> = new Set()

function merged(facts: RoleFacts, changed: Fields): RoleFacts {
  const before = { ...facts } as Fields
  const next: Record<string, unknown> = { ...before }
  for (const [key, is] of Object.entries(changed)) {
    const was = before[key]
    next[key] =
      PARTS.has(key) && isObject(was) && isObject(is) ? { ...was, ...is } : (is ?? undefined)
  }
  return next as unknown as RoleFacts
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** JSON, with what it has no words for. */
function toText(value: unknown): string {
  return String(
    JSON.stringify(value, (_key, each) => {
      if (each instanceof WalcastError)
        return { '!': each.key, message: each.message, ...causeOf(each) }
      if (each instanceof Error) return { '!': 'Error', message: each.message }
      if (each instanceof Map) return { '->': [...each] }
      if (each === Number.POSITIVE_INFINITY) return { '!': 'infinite' }
      return each
    }),
  )
}

function toValue(text: string): unknown {
  return JSON.parse(text, (_key, each) => {
    if (typeof each !== 'object' || each === null) return each
    if ('->' in each) return new Map(each['->'])
    if (!('!' in each)) return each
    if (each['!'] === 'infinite') return Number.POSITIVE_INFINITY
    if (each['!'] === 'Error') return new Error(each.message)
    const cause =
      each.cause === undefined ? undefined : Object.assign(new Error(), { code: each.cause })
    return new WalcastError(each['!'] as ErrorCode, { message: each.message }, cause)
  })
}

/** That no connection was made is known by it. */
function causeOf({ cause }: WalcastError): { readonly cause?: unknown } {
  return typeof cause === 'object' &&
    cause !== null &&
    'code' in cause &&
    typeof cause.code === 'string'
    ? { cause: cause.code }
    : {}
}
