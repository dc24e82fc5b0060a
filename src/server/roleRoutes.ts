/**
 * The operator's actions on roles and on the list of replicas, and the actions by which nodes hand
 * leadership to each other.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { AGREE_PATH, type RoleActions, TAKE_OVER_PATH, TWIN_PATH } from '../api/roleActions.ts'
import {
  DEMOTE_PATH,
  FITNESS_PATH,
  PROMOTE_PATH,
  REPLICAS_PATH,
  SWITCHOVER_PATH,
} from '../api/roleAnswers.ts'
import { WalcastError } from '../errors.ts'
import {
  addressIn,
  countOf,
  flagOf,
  type Given,
  givenBy,
  operatorOf,
  orderIn,
  type Place,
  textOf,
} from './requestFields.ts'

/**
 * `roles` gives undefined until the node has come up in its first role. `placeOf` tells the audit
 * log where a request came from.
 */
export function addRoleRoutes(
  app: FastifyInstance,
  roles: () => RoleActions | undefined,
  placeOf: (request: FastifyRequest) => Place,
): void {
  const started = () => {
    const there = roles()
    if (!there) throw new WalcastError('STARTING')
    return there
  }
  const post = (path: string, act: (given: Given, by: string) => Promise<unknown>) =>
    app.post(path, async (request) => {
      const { given, by } = orderIn(request, placeOf)
      return act(given, by)
    })
  post(PROMOTE_PATH, (given, by) =>
    started().promote({ force: flagOf(given, 'force'), dryRun: flagOf(given, 'dryRun') }, by),
  )
  app.post(DEMOTE_PATH, async (request) => {
    const { given, by } = orderIn(request, placeOf)
    const epoch = countOf(given, 'epoch')
    // With it a node says in which epoch it leads, which no pause of role changes holds up.
    if (epoch !== undefined && !placeOf(request).passesOn)
      throw new WalcastError('BAD_REQUEST', { detail: 'epoch is for nodes, not for tokens' })
    return started().demote({ leader: addressIn(given, 'leader'), epoch }, by)
  })
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
  post(AGREE_PATH, async (given) => {
    const [node, epoch, forMs] = [
      textOf(given, 'node'),
      countOf(given, 'epoch'),
      countOf(given, 'forMs'),
    ]
    if (!node || epoch === undefined || forMs === undefined)
      throw new WalcastError('BAD_REQUEST', { detail: 'node, epoch and forMs are needed' })
    return started().agree({ node, epoch, forMs })
  })
  app.get(FITNESS_PATH, async () => started().fitness())
  app.delete(REPLICAS_PATH, async (request) => {
    const given = givenBy(request)
    const node = textOf(given, 'node')
    if (!node) throw new WalcastError('BAD_REQUEST', { detail: 'node is not the id of a replica' })
    await started().forget(node, operatorOf(given, placeOf(request)))
    return { forgotten: node }
  })
}
