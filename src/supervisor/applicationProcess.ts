/**
 * The application of a node as a child process: its input and outputs are walcast's own, its
 * environment says what the node is.
 */
import { formatPosition, type Position } from '../../proto/position.ts'
import type { NodeRole } from '../api/roleAnswers.ts'
import { withoutSecrets } from '../notify/roleHooks.ts'
import { spawn } from '../platform/processes.ts'
import type { ApplicationProcess } from './supervisor.ts'

export interface ApplicationSituation {
  readonly role: NodeRole
  readonly position: Position
  /** Where it asks its node. */
  readonly nodeUrl: string
  /** Path of the database file. */
  readonly db: string
}

/**
 * `port`: where it is to listen, when the node decides. Throws what `spawn` throws at once; most
 * failures are told to `onFailed`.
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
    // One that runs has errors of its own, such as a signal that could not be sent.
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
