/** A node, as the supervisor of its application sees it. */

import type { DatabaseView } from '../api/databaseView.ts'
import type { NodeSetup } from '../database/engine.ts'
import type { WalcastError } from '../errors.ts'
import { startNode } from '../node/node.ts'
import { nodeUrl } from '../options/address.ts'
import { cancelTimer, setTimer } from '../platform/time.ts'
import { type ServedApplication, servedApplication } from '../proxy/servedApplication.ts'
import { resolveDatabase } from '../sqlite/databaseFiles.ts'
import type { ApplicationSituation } from './applicationProcess.ts'

export interface SupervisedNode {
  /** Resolves with the reason when the node cannot go on. */
  readonly failed: Promise<WalcastError>
  readonly view: DatabaseView
  situation(): ApplicationSituation
  /** The application, as this node's requests see it. */
  application(stopTimeoutMs: number): ServedApplication
  /** Resolves once the node can serve in its present role, or when `signal` is aborted. */
  whenReady(signal: AbortSignal): Promise<void>
  /** Calls `listener` after each change of role, until the node stops. */
  onRole(listener: () => void): void
  /** Reads the operator's certificate again. */
  reloadKeys(): void
  stop(): Promise<void>
}

/** Readiness also changes with time and with the disk, which no event tells. */
const LOOK_AGAIN_MS = 250

/** Starts a node in the role of its role file. Throws the catalogue's start-up errors. */
export async function startSupervisedNode(setup: NodeSetup): Promise<SupervisedNode> {
  const { options } = setup
  const wakes = new Set<() => void>()
  const node = await startNode({ ...setup, onChange: () => wakeAll(wakes) }, 'node')
  const { view } = node
  const db = resolveDatabase(options.db)
  const url = nodeUrl(options.listen, node.takesPlainText ? 'http' : 'https')
  return {
    failed: node.failed,
    view,
    situation: () => ({ role: view.role(), position: view.position(), nodeUrl: url, db }),
    application: (stopTimeoutMs) =>
      servedApplication({ traffic: node.traffic, view, options, stopTimeoutMs }),
    whenReady: (signal) => untilServing(view, wakes, signal),
    onRole(listener) {
      let known = view.role()
      wakes.add(() => {
        const role = view.role()
        if (role === known) return
        known = role
        listener()
      })
    },
    reloadKeys: () => node.reloadKeys(),
    stop: () => node.stop(),
  }
}

function wakeAll(wakes: ReadonlySet<() => void>): void {
  for (const wake of wakes) wake()
}

/**
 * A leader serves once it captures, so that it misses no write of the application. A replica serves
 * once its copy is whole.
 */
function canServe(view: DatabaseView): boolean {
  return view.role() === 'leader' ? view.notReady().length === 0 : view.canRead()
}

async function untilServing(
  view: DatabaseView,
  wakes: Set<() => void>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted && !canServe(view))
    await new Promise<void>((resolve) => {
      const wake = () => {
        cancelTimer(timer)
        wakes.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimer(wake, LOOK_AGAIN_MS)
      wakes.add(wake)
      signal.addEventListener('abort', wake)
    })
}
