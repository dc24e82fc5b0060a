/**
 * The operator's actions on roles and on the list of replicas, and the actions by which nodes hand
 * leadership to each other.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type RoleActions, TAKE_OVER_PATH, TWIN_PATH } from '../api/roleActions.ts'
import {
  DEMOTE_PATH,
  FITNESS_PATH,
  PROMOTE_PATH,
  REPLICAS_PATH,
  SWITCHOVER_PATH,
} from '../api/roleAnswers.ts'
import { WalcastError } from '../errors.ts'
import { parseHostPort } from '../hostPort.ts'
import { isPlain } from '../plainText.ts'
import { headerOf } from '../proxy/headers.ts'

const MAX_BY_CHARS = 200

/**
 * `roles` gives undefined until the node has come up in its first role. `placeOf` tells the audit
 * log where a request came from.
 */
export function addRoleRoutes(
  app: FastifyInstance,
  roles: () => RoleActions | undefined,
  placeOf: (request: FastifyRequest) => string,
): void {
  const started = () => {
    const there = roles()
    if (!there) throw new WalcastError('STARTING')
    return there
  }
  const whoAsked = (request: FastifyRequest, given: Given) => operatorOf(given, placeOf(request))
  const post = (path: string, act: (given: Given, by: string) => Promise<unknown>) =>
    app.post(path, async (request) => {
      // A web page can send a POST to this machine, though it cannot read the answer.
      if (headerOf(request.raw, 'origin') !== undefined) throw new WalcastError('FOREIGN_PAGE')
      const given = givenBy(request)
      return act(given, whoAsked(request, given))
    })
  post(PROMOTE_PATH, (given, by) =>
    started().promote({ force: flagOf(given, 'force'), dryRun: flagOf(given, 'dryRun') }, by),
  )
  post(DEMOTE_PATH, (given, by) =>
    started().demote({ leader: addressIn(given, 'leader'), epoch: countOf(given, 'epoch') }, by),
  )
  post(SWITCHOVER_PATH, (given, by) =>
    started().switchover({ to: textOf(given, 'to'), timeoutMs: countOf(given, 'timeoutMs') }, by),
  )
  post(TAKE_OVER_PATH, (given, by) => {
    const [epoch, txid, until] = [
      countOf(given, 'epoch'),
      countOf(given, 'txid'),
      countOf(given, 'until'),
    ]
    const [checksum, from, to] = [
      textOf(given, 'checksum'),
      textOf(given, 'from'),
      textOf(given, 'to'),
    ]
    if (
      epoch === undefined ||
      txid === undefined ||
      until === undefined ||
      !checksum ||
      !from ||
      !to
    )
      throw new WalcastError('BAD_REQUEST', {
        detail: 'epoch, txid, checksum, from, to and until are needed',
      })
    return started().takeOver({ epoch, txid, checksum, from, to, until }, by)
  })
  post(TWIN_PATH, async (given) => {
    const address = addressIn(given, 'address')
    if (address === undefined)
      throw new WalcastError('BAD_REQUEST', { detail: 'address is needed' })
    await started().twin(address)
    return {}
  })
  app.get(FITNESS_PATH, async () => started().fitness())
  app.delete(REPLICAS_PATH, async (request) => {
    const given = givenBy(request)
    const node = textOf(given, 'node')
    if (!node) throw new WalcastError('BAD_REQUEST', { detail: 'node is not the id of a replica' })
    await started().forget(node, whoAsked(request, given))
    return { forgotten: node }
  })
}

type Given = Readonly<Record<string, unknown>>

/** The fields of the body and of the query. A field of the query wins: the query is signed. */
function givenBy(request: FastifyRequest): Given {
  const body: Given = Object(request.body)
  return { ...body, ...Object(request.query) }
}

function operatorOf(given: Given, place: string): string {
  const by = (textOf(given, 'by') ?? 'an operator').slice(0, MAX_BY_CHARS)
  // A node passes on who asked it, with the address in it.
  return by.endsWith(')') ? by : `${by} (${place})`
}

function textOf(given: Given, name: string): string | undefined {
  const value = given[name]
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string' || value.length > 1024 || !isPlain(value))
    throw new WalcastError('BAD_REQUEST', { detail: `${name} is not a text` })
  return value
}

function addressIn(given: Given, name: string): string | undefined {
  const text = textOf(given, name)
  if (text === undefined) return undefined
  // It goes into the role file, where a wrong one would keep the node from starting.
  if (!parseHostPort(text))
    throw new WalcastError('BAD_REQUEST', { detail: `${name} is not HOST:PORT` })
  return text
}

function countOf(given: Given, name: string): number | undefined {
  const value = given[name]
  if (value === undefined || value === null || value === '') return undefined
  const count = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  if (!Number.isSafeInteger(count) || Number(count) < 0)
    throw new WalcastError('BAD_REQUEST', { detail: `${name} is not a whole number` })
  return Number(count)
}

function flagOf(given: Given, name: string): boolean {
  const value = given[name]
  if (value === undefined || value === false || value === 'false' || value === '0') return false
  if (value === true || value === 'true' || value === '1') return true
  throw new WalcastError('BAD_REQUEST', { detail: `${name} is neither true nor false` })
}
