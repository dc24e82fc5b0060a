/** Whether a replica can follow who welcomes it. */
import { MAX_COUNTED } from '../../proto/limits.ts'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'

export interface Follower {
  readonly node: string
  /** Random id of its process. */
  readonly instance: string
  /** '' before the first copy. */
  readonly cluster: string
  /** The highest epoch that it has followed or led in. */
  readonly epoch: number
  /** Of the copy; undefined before the first. */
  readonly pageSize: number | undefined
}

/** Throws MESSAGE_BAD, WRONG_CLUSTER, SELF_LEADER, NODE_ID_TAKEN, WRONG_PAGE_SIZE or STALE_LEADER. */
export function requireFitting(welcome: Body<'welcome'>, follower: Follower): void {
  const { node, instance, cluster, epoch, pageSize } = follower
  if (Math.max(welcome.epoch, welcome.term, welcome.txid) > MAX_COUNTED)
    throw new WalcastError('MESSAGE_BAD', {
      detail: 'welcome to an epoch or txid that nobody can have reached',
    })
  if (cluster !== '' && cluster !== welcome.cluster)
    throw new WalcastError('WRONG_CLUSTER', { mine: cluster, theirs: welcome.cluster })
  if (welcome.node === node && welcome.instance === instance) throw new WalcastError('SELF_LEADER')
  if (welcome.node === node)
    throw new WalcastError('NODE_ID_TAKEN', { node, address: 'the node that it follows' })
  if (pageSize !== undefined && pageSize !== welcome.pageSize)
    throw new WalcastError('WRONG_PAGE_SIZE', { mine: pageSize, theirs: welcome.pageSize })
  if (welcome.epoch < epoch) throw new WalcastError('STALE_LEADER', { mine: epoch, theirs: welcome.epoch })
}
