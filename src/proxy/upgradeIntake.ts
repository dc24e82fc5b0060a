/**
 * An upgrade that another node forwards, once its token was accepted. It waits for the application
 * as a request does.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { asWalcastError, type WalcastError } from '../errors.ts'
import type { ApplicationWatch } from './applicationWatch.ts'
import { holdOf, NOT_EXECUTED_HEADER } from './headers.ts'
import { refuseUpgrade, relayUpgrade, type UpgradeTarget } from './upgradeRelay.ts'
import { Upgrading } from './upgrading.ts'

export interface UpgradeIntakeParts {
  readonly watch: ApplicationWatch
  readonly holdMs: number
  /** The application of this node. */
  target(): UpgradeTarget
  /** Why this node no longer takes the upgrade; undefined while it does. */
  refuseNow(): WalcastError | undefined
}

/** Resolves once the upgrade is answered, or its socket has closed; never throws. */
export async function takeUpgrade(
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  parts: UpgradeIntakeParts,
): Promise<void> {
  try {
    const notTaken = await relay(request, socket, head, parts)
    if (notTaken) refuseUpgrade(socket, notTaken, {}, { [NOT_EXECUTED_HEADER]: notTaken.key })
  } catch (error) {
    // This answer is for the client: the node that forwards must not ask again.
    refuseUpgrade(socket, asWalcastError(error), {}, {}, parts.target().bodyOf)
  }
}

/** Resolves with why the upgrade was not taken. Throws TOO_MANY_HELD. */
async function relay(
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  { watch, holdMs, target, refuseNow }: UpgradeIntakeParts,
): Promise<WalcastError | undefined> {
  const client = new Upgrading(socket)
  const endMs = client.heldUntilMs(Math.min(holdOf(request), holdMs))
  while (!client.isGone) {
    const refused = refuseNow()
    if (refused) return refused
    const unable = watch.refuse(true)
    if (unable) {
      if (!(await client.waitFor(watch.wait(client, endMs, true)))) return unable
      continue
    }
    const notTaken = await relayUpgrade(request, socket, head, { ...target(), canWait: true })
    if (notTaken === undefined) return undefined
    watch.onUnreachable(notTaken)
  }
  return undefined
}
