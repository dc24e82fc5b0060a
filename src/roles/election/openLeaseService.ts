/** The lock service that the options of a node name. */
import { messageOf, WalcastError } from '../../errors.ts'
import type { NodeOptions } from '../../options/nodeOptions.ts'
import { readFileSync } from '../../platform/files.ts'
import { readPrivateFile } from '../../security/privateFile.ts'
import { ConsulLease } from './consulLease.ts'
import { EtcdLease } from './etcd/etcdLease.ts'
import type { LeaseService, LeaseServiceSetup } from './leaseService.ts'
import { openS3Lease } from './s3Lease.ts'

/** Undefined with `--election static`. */
export type OpenLeaseService = ((setup: LeaseServiceSetup) => LeaseService) | undefined

/** Each in PEM. */
interface Certificates {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

const PASSWORD = 'WALCAST_ELECTION_PASSWORD'
const PASSWORD_FILE = 'WALCAST_ELECTION_PASSWORD_FILE'

/**
 * `environment` has the password of etcd, or the token of Consul, and the keys of an object store.
 * Throws USAGE when what goes with the service is not there, SECRET_SHARED and STORE_PLACE.
 */
export function leaseServiceOf(
  options: NodeOptions,
  environment: NodeJS.ProcessEnv,
): OpenLeaseService {
  const { election, etcd: endpoints = [], consul: url = '', electionUser: name } = options
  if (election === 'static') return undefined
  const password = passwordIn(environment)
  if (election === 'etcd') {
    const certificates = certificatesOf(options)
    if (name !== undefined && password === undefined)
      throw usage(`--election-user wants ${PASSWORD} or ${PASSWORD_FILE}`)
    const user = name === undefined || password === undefined ? {} : { user: { name, password } }
    return (setup) => new EtcdLease({ ...setup, endpoints, certificates, ...user })
  }
  if (election === 'consul') {
    const token = password === undefined ? {} : { token: password }
    const access = { url, tls: certificatesOf(options), ...token }
    return (setup) => new ConsulLease(setup, access)
  }
  return (setup) => openS3Lease(election, setup, environment)
}

function passwordIn(environment: NodeJS.ProcessEnv): string | undefined {
  const direct = environment[PASSWORD]
  const file = environment[PASSWORD_FILE]
  if (direct && file) throw usage(`both ${PASSWORD} and ${PASSWORD_FILE} are set`)
  if (!file) return direct || undefined
  return read(file, readPrivateFile).trim()
}

function certificatesOf({ electionCa, electionCert, electionKey }: NodeOptions): Certificates {
  return {
    ...(electionCa === undefined ? {} : { ca: read(electionCa, readText) }),
    ...(electionCert === undefined ? {} : { cert: read(electionCert, readText) }),
    ...(electionKey === undefined ? {} : { key: read(electionKey, readPrivateFile) }),
  }
}

function readText(path: string): string {
  return readFileSync(path, 'utf8')
}

/** An error names the file, and nothing that is in it. */
function read(path: string, how: (path: string) => string): string {
  try {
    return how(path)
  } catch (error) {
    if (error instanceof WalcastError) throw error
    throw usage(`${path} cannot be read: ${messageOf(error)}`)
  }
}

function usage(detail: string): WalcastError {
  return new WalcastError('USAGE', { detail })
}
