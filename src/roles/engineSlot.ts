/** The engine of the present role. */
import type { DelegatingView } from '../database/delegatingView.ts'
import type { LeaderEngine } from '../database/leaderEngine.ts'
import type { ReplicaEngine } from '../database/replicaEngine.ts'
import { WalcastError } from '../errors.ts'

export class EngineSlot {
  readonly #view: DelegatingView
  readonly #onMoved: () => void
  #engine: LeaderEngine | ReplicaEngine | undefined

  /** `onMoved`: another engine may stand elsewhere. */
  constructor(view: DelegatingView, onMoved: () => void) {
    this.#view = view
    this.#onMoved = onMoved
  }

  /** Undefined while the node starts. */
  get engine(): LeaderEngine | ReplicaEngine | undefined {
    return this.#engine
  }

  get leading(): LeaderEngine | undefined {
    return this.#engine?.role === 'leader' ? this.#engine : undefined
  }

  get following(): ReplicaEngine | undefined {
    return this.#engine?.role === 'replica' ? this.#engine : undefined
  }

  /** Of a step that only a leader is ordered to. */
  requireLeading(): LeaderEngine {
    return this.leading ?? misordered('leader')
  }

  requireFollowing(): ReplicaEngine {
    return this.following ?? misordered('replica')
  }

  /** From now on this engine is the node's. */
  enter(engine: LeaderEngine | ReplicaEngine): void {
    this.#engine = engine
    this.#view.engine = engine
    this.#onMoved()
  }
}

function misordered(role: string): never {
  throw new WalcastError('INTERNAL', { detail: `the engine of a ${role} is not there` })
}
