/** Secrets of the environment as people see them: whether they are set, and where. */
import { DEFAULT_ORIGIN, type OptionOrigin } from '../options/optionOrigin.ts'
import type { ShownOption } from '../options/shownOptions.ts'

const GROUP = 'Secrets'
/** All that is ever shown of one. */
const SET = 'set'
const CLUSTER_SECRET =
  'the secret that all nodes of the cluster share; without one a leader that others can reach ' +
  'makes it, and pairing hands it on'
const S3_KEYS = 'the key for archives in a bucket'

export function shownSecrets(environment: NodeJS.ProcessEnv): ShownOption[] {
  const direct = variable(environment, 'WALCAST_SECRET')
  const file = environment['WALCAST_SECRET_FILE']
  const [name, origin] = file
    ? ['WALCAST_SECRET_FILE', { from: 'file', detail: file } as const]
    : ['WALCAST_SECRET', direct]
  const s3File = environment['AWS_SHARED_CREDENTIALS_FILE']
  return [
    secret(name, CLUSTER_SECRET, origin),
    ...['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'].flatMap((each) => {
      const given = variable(environment, each)
      return given ? [secret(each, S3_KEYS, given)] : []
    }),
    ...(s3File
      ? [secret('AWS_SHARED_CREDENTIALS_FILE', S3_KEYS, { from: 'file', detail: s3File })]
      : []),
  ]
}

function variable(environment: NodeJS.ProcessEnv, name: string): OptionOrigin | undefined {
  return environment[name] ? { from: 'environment', detail: name } : undefined
}

function secret(name: string, help: string, origin: OptionOrigin | undefined): ShownOption {
  return {
    ...{ name, group: GROUP, value: origin ? SET : null, default: null, help },
    origin: origin ?? DEFAULT_ORIGIN,
    isChanged: origin !== undefined,
  }
}
