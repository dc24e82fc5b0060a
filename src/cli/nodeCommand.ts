/**
 * The command that runs a node: `walcast run` when the arguments name an application after `--`,
 * else `walcast node`.
 */
import { WalcastError } from '../errors.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { lastingArguments, nodeOptions } from './nodeArguments.ts'
import { PRINT_CONFIG } from './printConfig.ts'
import { beforeCommand, lastingRunArguments, runArguments, withUpstream } from './runArguments.ts'

export interface NodeCommand {
  readonly name: 'node' | 'run'
  readonly options: NodeOptions
  /** How long its stop may take, ms. */
  readonly stopMs: number
  /**
   * Arguments that mean the same when nothing is in the environment, with no secret. Throws USAGE
   * when the application is not there.
   */
  lasting(): readonly string[]
}

/** Throws USAGE or CONFIG_BAD. */
export function nodeCommand(args: readonly string[], environment: NodeJS.ProcessEnv): NodeCommand {
  if (beforeCommand(args).includes(PRINT_CONFIG))
    throw new WalcastError('USAGE', { detail: `${PRINT_CONFIG} goes with node, run and the like` })
  if (beforeCommand(args).length === args.length) {
    const options = nodeOptions('node', args, environment)
    const lasting = () => lastingArguments(args, environment)
    return { name: 'node', options, stopMs: options.drainMs, lasting }
  }
  const { nodeArguments, ports, rules } = runArguments(args, environment)
  const options = withUpstream(nodeOptions('node', nodeArguments, environment), ports)
  const lasting = () => lastingRunArguments(args, environment)
  return { name: 'run', options, stopMs: options.drainMs + rules.stopTimeoutMs, lasting }
}
