/**
 * Finds mistakes in values of the right kind: a value too small to be meant, or two values in the
 * wrong order.
 */

import { ELECTION_OPTIONS } from './electionOptions.ts'
import type { NodeOptions } from './nodeOptions.ts'
import type { OptionSpec } from './optionSpec.ts'
import { NODE_OPTIONS } from './options.ts'
import { parseValue } from './optionValues.ts'

/** A WAL frame of the smallest page: https://sqlite.org/fileformat2.html#wal_file_format. */
const LEAST_FRAME_BYTES = 24 + 512

/** One text for each mistake; empty when there is none. */
export function optionProblems(options: NodeOptions): string[] {
  return [
    ...tooSmall(options),
    ...inWrongOrder(options),
    ...contradictions(options),
    ...electionProblems(options),
    ...withoutNeeded(options),
  ]
}

function tooSmall(options: NodeOptions): string[] {
  return NODE_OPTIONS.flatMap(({ key, flag, kind, least, zeroIsOff }) => {
    const value = options[key]
    if (least === undefined || typeof value !== 'number' || (zeroIsOff && value === 0)) return []
    if (value >= Number(parseValue(flag, kind, least))) return []
    const off = zeroIsOff ? ', or 0 to turn it off' : ''
    const unit = kind === 'bytes' ? ' bytes' : ''
    return [`--${flag} wants at least ${least}${off}, not ${value}${unit}`]
  })
}

/**
 * Only the database tells how large a frame is. What is refused here is wrong for every page size.
 */
function inWrongOrder({ softWalFrames, hardWalFrames, maxWalBytes }: NodeOptions): string[] {
  const problems: string[] = []
  if (softWalFrames > hardWalFrames)
    problems.push(`--soft-wal ${softWalFrames} is above --hard-wal ${hardWalFrames}`)
  if (hardWalFrames * LEAST_FRAME_BYTES > maxWalBytes)
    problems.push(`--hard-wal ${hardWalFrames} (frames) is above --max-wal ${maxWalBytes} (bytes)`)
  return problems
}

function contradictions(options: NodeOptions): string[] {
  const { tls, plaintext, tlsCert, tlsKey, tlsCa, snapshotEveryMs, snapshotTo } = options
  const problems: string[] = []
  if (tls && plaintext) problems.push('--tls and --plaintext exclude each other')
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    problems.push('--tls-cert and --tls-key go together')
  if (tlsCa !== undefined && tlsCert === undefined) problems.push('--tls-ca wants --tls-cert')
  if ((snapshotEveryMs === undefined) !== (snapshotTo === undefined))
    problems.push('--snapshot-every and --snapshot-to go together')
  return problems
}

function electionProblems(options: NodeOptions): string[] {
  const { election, etcd, consul, electionCert, electionKey, electionUser } = options
  const problems: string[] = []
  if ((election === 'etcd') !== (etcd !== undefined))
    problems.push('--election etcd and --etcd go together')
  if ((election === 'consul') !== (consul !== undefined))
    problems.push('--election consul and --consul go together')
  if ((electionCert === undefined) !== (electionKey === undefined))
    problems.push('--election-cert and --election-key go together')
  if (electionUser !== undefined && election !== 'etcd')
    problems.push('--election-user wants --election etcd')
  if (election !== 'static') return problems
  const vain = ELECTION_OPTIONS.filter((spec) => {
    const isNamed = ['election', 'etcd', 'consul', 'electionUser'].includes(spec.key)
    return !isNamed && options[spec.key] !== false && !isAsUsual(options, spec)
  })
  return [...problems, ...vain.map(({ flag }) => `--${flag} wants --election`)]
}

/** Options that would be taken in silence, and do nothing. */
function withoutNeeded(options: NodeOptions): string[] {
  return NODE_OPTIONS.flatMap((spec) => {
    const { needs, flag } = spec
    if (needs === undefined || isGiven(options[needs]) || isAsUsual(options, spec)) return []
    const needed = NODE_OPTIONS.find(({ key }) => key === needs)
    return [`--${flag} wants --${needed?.flag}`]
  })
}

function isGiven(value: unknown): boolean {
  return value !== undefined && !(Array.isArray(value) && value.length === 0)
}

/** Whether it is not given, or says what holds without it. */
function isAsUsual(options: NodeOptions, { key, flag, kind, default: usual }: OptionSpec): boolean {
  const value = options[key]
  return value === undefined || (usual !== undefined && value === parseValue(flag, kind, usual))
}
