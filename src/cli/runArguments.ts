/** Arguments of `walcast run`: its own, those of its node, and after `--` the command. */
import { constants } from 'node:os'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { DEFAULT_ORIGIN, type OptionOrigin } from '../options/optionOrigin.ts'
import { parseValue } from '../options/optionValues.ts'
import type { ShownOption } from '../options/shownOptions.ts'
import type {
  RestartMode,
  RoleChangeMode,
  SupervisionRules,
} from '../supervisor/supervisionStates.ts'
import { executablePath } from './executable.ts'
import { environmentName, lastingArguments } from './nodeArguments.ts'
import { defaultOf, OWN_FLAGS, OWN_OPTIONS, type OwnFlag } from './runOptions.ts'
import { usage } from './usage.ts'

export interface RunArguments {
  readonly rules: SupervisionRules
  /** Ports of the application, used in turn; empty when it chooses its port itself. */
  readonly ports: readonly number[]
  /** The node's flags. */
  readonly nodeArguments: readonly string[]
  readonly command: readonly [string, ...string[]]
}

const BACKOFF = { backoffMs: 500, maxBackoffMs: 30_000, soundRunMs: 60_000 }

/** The arguments before `--`, which are options. */
export function beforeCommand(args: readonly string[]): readonly string[] {
  const at = args.indexOf('--')
  return at < 0 ? args : args.slice(0, at)
}

/** Throws USAGE. */
export function runArguments(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): RunArguments {
  const before = beforeCommand(args)
  const [file, ...rest] = args.slice(before.length + 1)
  if (!file) throw usage('run takes a command: walcast run [options] -- COMMAND ARGS...')
  const { own, others } = takeOwn(before)
  const value = (flag: OwnFlag) => givenOwn(own, environment, flag)?.text ?? defaultOf(flag)
  const ports = portsOf(value('ports'))
  return {
    ports,
    rules: {
      onRoleChange: oneOf<RoleChangeMode>('role-change', value('role-change'), [
        'restart',
        'signal',
        'ignore',
      ]),
      roleSignal: signalOf(value('role-signal')),
      restart: oneOf<RestartMode>('restart', value('restart'), ['never', 'on-failure', 'always']),
      followMs: Number(parseValue('role-follow', 'duration', value('role-follow'))),
      hasPair: ports.length === 2,
      stopTimeoutMs: Number(parseValue('stop-timeout', 'duration', value('stop-timeout'))),
      ...BACKOFF,
    },
    nodeArguments: others,
    command: [file, ...rest],
  }
}

/** The arguments of the node, whatever is wrong with the others. Throws USAGE. */
export function nodeArgumentsIn(args: readonly string[]): readonly string[] {
  return takeOwn(beforeCommand(args)).others
}

/** What is given for an option of its own; an empty text counts as not given. */
function givenOwn(
  own: ReadonlyMap<OwnFlag, string>,
  environment: NodeJS.ProcessEnv,
  flag: OwnFlag,
): { readonly text: string; readonly origin: OptionOrigin } | undefined {
  const [flagged, variable] = [own.get(flag), environmentName({ flag })]
  if (flagged) return { text: flagged, origin: { from: 'flag', detail: `--${flag}` } }
  const text = environment[variable]
  return text ? { text, origin: { from: 'environment', detail: variable } } : undefined
}

/** Its own options as people read them, with where each came from. Throws USAGE. */
export function shownRunOptions(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): ShownOption[] {
  const { own } = takeOwn(beforeCommand(args))
  return OWN_OPTIONS.map(({ flag, help, default: fallback = null }) => {
    const given = givenOwn(own, environment, flag)
    const value = given?.text ?? fallback
    return {
      ...{ name: `--${flag}`, group: 'walcast run', value, default: fallback, help },
      origin: given?.origin ?? DEFAULT_ORIGIN,
      isChanged: value !== fallback,
    }
  })
}

/**
 * The node's options with the application's port as its upstream. Throws USAGE when both are given.
 */
export function withUpstream(options: NodeOptions, ports: readonly number[]): NodeOptions {
  if (ports.length === 0) return options
  if (options.upstream !== undefined)
    throw usage('--upstream and --ports exclude each other: give one of them')
  return { ...options, upstream: `http://127.0.0.1:${ports[0]}` }
}

/**
 * The arguments that mean the same when nothing is in the environment, with absolute paths of
 * options and of the program. Throws USAGE.
 */
export function lastingRunArguments(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): readonly string[] {
  const { nodeArguments, command } = runArguments(args, environment)
  const { own } = takeOwn(beforeCommand(args))
  const ownArguments = OWN_FLAGS.flatMap((flag) => {
    const value = own.get(flag) || environment[environmentName({ flag })]
    return value ? [`--${flag}`, value] : []
  })
  const [file, ...rest] = command
  const program = executablePath(file, environment)
  return [...lastingArguments(nodeArguments, environment), ...ownArguments, '--', program, ...rest]
}

/** Takes out its own flags, `--flag VALUE` or `--flag=VALUE`, and leaves the rest unchanged. */
function takeOwn(args: readonly string[]): {
  readonly own: ReadonlyMap<OwnFlag, string>
  readonly others: readonly string[]
} {
  const own = new Map<OwnFlag, string>()
  const others: string[] = []
  for (let at = 0; at < args.length; at++) {
    const [name, ...given] = args[at].split('=')
    const flag = OWN_FLAGS.find((known) => `--${known}` === name)
    if (!flag) others.push(args[at])
    else if (given.length > 0) own.set(flag, given.join('='))
    else if (++at < args.length) own.set(flag, args[at])
    else throw usage(`--${flag} wants a value`)
  }
  return { own, others }
}

function oneOf<T extends string>(flag: OwnFlag, text: string, values: readonly T[]): T {
  const value = values.find((known) => known === text)
  if (!value) throw usage(`--${flag} wants ${values.join(', ')}, not "${text}"`)
  return value
}

/** One port or two different ones. */
function portsOf(text: string): readonly number[] {
  if (text === '') return []
  const ports = text.split(',').map((port) => (/^\d{1,5}$/.test(port) ? Number(port) : 0))
  const areSound =
    ports.every((port) => port > 0 && port < 65_536) && new Set(ports).size === ports.length
  if (!areSound || ports.length > 2)
    throw usage(`--ports wants a port, or two as 3000,3001, not "${text}"`)
  return ports
}

function signalOf(text: string): NodeJS.Signals {
  const name = Object.keys(constants.signals).find(
    (known) => known === text || known === `SIG${text}`,
  )
  if (!name) throw usage(`--role-signal wants the name of a signal such as SIGUSR1, not "${text}"`)
  return name as NodeJS.Signals
}
