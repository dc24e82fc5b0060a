/**
 * The application of a node as a child process. Its input and outputs are walcast's own; its
 * environment says what the node is.
 */
import { formatPosition, type Position } from '../../proto/position.ts'
import type { NodeRole } from '../api/roleAnswers.ts'
import { withoutSecrets } from '../notify/roleHooks.ts'
import { spawn } from '../platform/processes.ts'
import type { ApplicationExit } from './supervisionStates.ts'

/** A process of the application, as its supervisor sees it. */
export interface ApplicationProcess {
  readonly pid: number | undefined
  kill(signal: NodeJS.Signals): void
  onSpawned(listener: () => void): void
  /** It could not be made; `onExited` is not called then. */
  onFailed(listener: (error: Error) => void): void
  onExited(listener: (exit: ApplicationExit) => void): void
}

export interface ApplicationSituation {
  readonly role: NodeRole
  readonly position: Position
  /** The private side of its node, where it may ask. */
  readonly nodeUrl: string
  /** Path of the database file. */
  readonly db: string
}

/**
 * `port`: where it must listen, if the node decides that. Throws what `spawn` throws at once;
 * `onFailed` is told most failures.
 */
export function spawnApplication(
  [file, ...args]: readonly [string, ...string[]],
  environment: NodeJS.ProcessEnv,
  situation: ApplicationSituation,
  port?: number,
): ApplicationProcess {
  const env = { ...withoutSecrets(environment), ...variablesOf(situation), ...portVariables(port) }
  const child = spawn(file, args, { stdio: 'inherit', env })
  let hasSpawned = false
  return {
    get pid() {
      return child.pid
    },
    kill: (signal) => void child.kill(signal),
    onSpawned: (listener) =>
      void child.once('spawn', () => {
        hasSpawned = true
        listener()
      }),
    // A running process may have other errors, such as a signal that could not be sent.
    onFailed: (listener) =>
      void child.on('error', (error) => {
        if (!hasSpawned) listener(error)
      }),
    onExited: (listener) => void child.once('exit', (code, signal) => listener({ code, signal })),
  }
}

function portVariables(port: number | undefined): NodeJS.ProcessEnv {
  return port === undefined ? {} : { PORT: String(port), WALCAST_UPSTREAM_PORT: String(port) }
}

function variablesOf({ role, position, nodeUrl, db }: ApplicationSituation): NodeJS.ProcessEnv {
  return {
    WALCAST_ROLE: role,
    WALCAST_EPOCH: String(position.epoch),
    WALCAST_POSITION: formatPosition(position),
    WALCAST_NODE_URL: nodeUrl,
    WALCAST_DB: db,
  }
}
