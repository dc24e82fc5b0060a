/** An upgrade that another node forwards, once its token was accepted: it waits for the application as a request does. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { WalcastError } from '../errors.ts'
import type { ApplicationWatch } from './applicationWatch.ts'
import { holdOf, NOT_EXECUTED_HEADER } from './headers.ts'
import { refuseUpgrade, relayUpgrade, type UpgradeTarget } from './upgradeRelay.ts'

export interface UpgradeIntakeParts {
  readonly watch: ApplicationWatch
  readonly holdMs: number
  /** Of this node. */
  target(): UpgradeTarget
  /** Why this node does not take it any more; undefined while it does. */
  refuseNow(): WalcastError | undefined
}

/** Resolves once it is answered, or its socket has closed. */
export async function takeUpgrade(
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  { watch, holdMs, target, refuseNow }: UpgradeIntakeParts,
): Promise<void> {
  const gone = new AbortController()
  socket.once('close', () => gone.abort())
  const refuse = (error: WalcastError) =>
    refuseUpgrade(socket, error, {}, { [NOT_EXECUTED_HEADER]: error.key })
  const endMs = performance.now() + Math.min(holdOf(request), holdMs)
  while (!gone.signal.aborted) {
    const refused = refuseNow()
    if (refused) return refuse(refused)
    const unable = watch.refuse(true)
    if (unable) {
      if (!(await watch.wait({ gone: gone.signal }, endMs, true))) return refuse(unable)
      continue
    }
    const notTaken = await relayUpgrade(request, socket, head, { ...target(), canWait: true })
    if (notTaken === undefined) return
    watch.onUnreachable(notTaken)
  }
}
