/**
 * All that is wrong with the options of a node, as far as one look can tell. A mistake hides no
 * other one: what it leaves out is read past it.
 */
import { asWalcastError, WalcastError } from '../errors.ts'
import { requireOtherLeader, soundnessProblems } from '../node/soundOptions.ts'
import { readSecret } from '../security/givenSecret.ts'
import { unknownVariablesText } from './environment.ts'
import { logProblems } from './logOptions.ts'
import { readOptions } from './nodeArguments.ts'
import { PRINT_CONFIG } from './printConfig.ts'
import { beforeCommand, nodeArgumentsIn, runArguments, withUpstream } from './runArguments.ts'
import { usage } from './usage.ts'

const SOME_PORT = [1]

/**
 * One error that names every mistake; undefined when there is none. It is CONFIG_BAD when the file
 * is wrong by itself, and else USAGE; a single mistake of another kind keeps its own code.
 */
export function configMistakes(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): WalcastError | undefined {
  const errors: WalcastError[] = []
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read()
    } catch (error) {
      errors.push(asWalcastError(error))
      return undefined
    }
  }
  const add = (problems: readonly string[]) => errors.push(...problems.map((each) => usage(each)))

  const before = beforeCommand(args)
  if (before.includes(PRINT_CONFIG)) add([`${PRINT_CONFIG} goes with node, run and the like`])
  const isRun = before.length < args.length
  const run = isRun ? attempt(() => runArguments(args, environment)) : undefined
  const ofNode = isRun ? (attempt(() => nodeArgumentsIn(args)) ?? []) : args
  const { options, problems, badFile, isFileRead } = readOptions('node', ofNode, environment)
  add(problems)
  if (isFileRead) {
    // Ports that cannot be read may be good ones.
    const ports = run?.ports ?? (isRun && options.upstream === undefined ? SOME_PORT : [])
    const whole = attempt(() => withUpstream(options, ports)) ?? options
    add(soundnessProblems(whole, 'node'))
    attempt(() => requireOtherLeader(whole))
  }
  add(logProblems(args, environment))
  attempt(() => readSecret(environment))
  add([unknownVariablesText(environment) ?? []].flat())
  return joined(errors, badFile)
}

/** Each mistake once: several looks may find the same one. */
function joined(
  errors: readonly WalcastError[],
  badFile: string | undefined,
): WalcastError | undefined {
  const texts = [...new Set(errors.map(({ message }) => message))]
  const detail = texts.join('; ')
  if (badFile !== undefined) return new WalcastError('CONFIG_BAD', { path: badFile, detail })
  return texts.length > 1 ? usage(detail) : errors[0]
}
