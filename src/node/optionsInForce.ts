/**
 * The options of this node in force, with what it keeps or derives in place of what was given, and
 * the age of its secrets and keys. Never a secret itself.
 */
import { X509Certificate } from 'node:crypto'
import type { KeyInfo, OptionsAnswer, OptionsDesk } from '../api/optionsInForce.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { secretsInForce } from '../cluster/secretsInForce.ts'
import type { TrustFile } from '../cluster/trustFile.ts'
import { isGoodAt } from '../cluster/trustRecord.ts'
import type { NodeSetup } from '../database/engine.ts'
import { ownAddress } from '../options/address.ts'
import type { OptionOrigin } from '../options/optionOrigin.ts'
import { type InForce, shownOptions, type ValuesInForce } from '../options/shownOptions.ts'
import type { Clock } from '../platform/clock.ts'
import { statSync } from '../platform/files.ts'
import { secretId } from '../security/clusterSecrets.ts'
import { ownCertificate } from '../security/nodeKeys.ts'
import type { NodeTls } from './nodeTls.ts'

export interface OptionsInForceParts {
  readonly setup: Pick<NodeSetup, 'options' | 'given' | 'secret'>
  readonly nodeFile: Pick<NodeFile, 'record' | 'path'>
  readonly trust: { readonly file: Pick<TrustFile, 'record' | 'path'> }
  /** Undefined in an open cluster. */
  readonly tls: Pick<NodeTls, 'keys' | 'transport'> | undefined
  readonly stateFolder: string
  /** Where the application is now: it may have moved to its other port. */
  readonly traffic: { readonly upstream: string | undefined }
  readonly clock: Clock
}

/** What the port of an application that moves follows from. */
const APPLICATION = 'the application, as it runs now'

export class OptionsInForce implements OptionsDesk {
  readonly #parts: OptionsInForceParts

  constructor(parts: OptionsInForceParts) {
    this.#parts = parts
  }

  answer(): OptionsAnswer {
    const { setup, nodeFile } = this.#parts
    const { options, given } = setup
    const own = shownOptions(options, given?.origins, valuesInForce(this.#parts))
    const shown = [...own, ...(given?.others ?? [])]
    return { node: nodeFile.record.node, options: shown, keys: keysOf(this.#parts) }
  }
}

/** What this node does not take from its options as they were given. */
export function valuesInForce({
  setup: { options },
  nodeFile,
  tls,
  traffic: { upstream },
}: Pick<OptionsInForceParts, 'setup' | 'nodeFile' | 'tls' | 'traffic'>): ValuesInForce {
  const { record, path } = nodeFile
  const kept = keptIn(path)
  const found: (readonly [string, InForce])[] = []
  const leader = record.role === 'leader' ? undefined : record.leader || undefined
  if (options.name === undefined) found.push(['name', { value: record.node, origin: kept }])
  if (options.leader !== leader) found.push(['leader', { value: leader, origin: kept }])
  if (options.standby !== record.standby)
    found.push(['standby', { value: record.standby, origin: kept }])
  if (options.advertise === undefined)
    found.push(['advertise', { value: ownAddress(options), origin: derived('--listen') }])
  if (!options.tls && tls?.transport === 'tls')
    found.push(['tls', { value: true, origin: derived(tlsReason(options.tlsCert)) }])
  if (options.copyMode === undefined && record.role !== 'leader' && record.leaderMode !== undefined)
    found.push(['copy-mode', { value: record.leaderMode, origin: derived("the leader's file") }])
  if (upstream !== undefined && upstream !== options.upstream)
    found.push(['upstream', { value: upstream, origin: derived(APPLICATION) }])
  return new Map(found)
}

function tlsReason(tlsCert: string | undefined): string {
  return tlsCert === undefined ? '--listen' : '--tls-cert'
}

function keptIn(detail: string): OptionOrigin {
  return { from: 'kept', detail }
}

function derived(detail: string): OptionOrigin {
  return { from: 'derived', detail }
}

function keysOf({ setup, trust, tls, clock, stateFolder }: OptionsInForceParts): KeyInfo[] {
  const { record, path } = trust.file
  const nowMs = clock.nowMs()
  const kept = keptIn(path)
  const [signing] = secretsInForce(setup.secret, record, nowMs).good
  const given = setup.secret === undefined ? undefined : secretId(setup.secret)
  const secrets = record.secrets.filter((each) => isGoodAt(each, nowMs))
  const latest = record.keks.reduce((last, { createdAt }) => Math.max(last, createdAt), 0)
  return [
    ...(given !== undefined && !record.secrets.some(({ id }) => id === given)
      ? [secretInfo(given, 0, undefined, setup.secret === signing, givenOrigin(setup))]
      : []),
    ...secrets.map(({ id, secret, createdAt, endsAt }) =>
      secretInfo(
        id,
        createdAt,
        endsAt,
        secret === signing,
        id === given ? givenOrigin(setup) : kept,
      ),
    ),
    ...record.keks.map(({ id, createdAt }): KeyInfo => {
      const about = { id, created: timeText(createdAt), ends: null, origin: kept }
      return { kind: 'settings-key', ...about, isInUse: createdAt === latest }
    }),
    ...(tls ? [certificateInfo(tls, setup, stateFolder)] : []),
  ]
}

function secretInfo(
  id: string,
  createdAt: number,
  endsAt: number | undefined,
  isInUse: boolean,
  origin: OptionOrigin,
): KeyInfo {
  const ends = endsAt === undefined ? null : timeText(endsAt)
  return { kind: 'secret', id, created: timeText(createdAt), ends, isInUse, origin }
}

/** Where the secret that the operator gave comes from. */
function givenOrigin({ given }: OptionsInForceParts['setup']): OptionOrigin {
  const row = given?.others.find(({ name, value }) => name.startsWith(SECRET) && value !== null)
  return row?.origin ?? { from: 'program', detail: '' }
}

const SECRET = 'WALCAST_SECRET'

/** As it is served now: the operator may have put a new one in the place of the first. */
function certificateInfo(
  { keys }: Pick<NodeTls, 'keys'>,
  { options: { tlsCert } }: OptionsInForceParts['setup'],
  stateFolder: string,
): KeyInfo {
  const { certificate, fingerprint: id } = keys.current
  const about = { kind: 'certificate', id, isInUse: true } as const
  if (tlsCert === undefined) {
    // Its dates mean nothing: the key is pinned.
    const path = ownCertificate(stateFolder)
    const madeMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
    return { ...about, created: timeText(madeMs), ends: null, origin: keptIn(path) }
  }
  const { validFrom, validTo } = new X509Certificate(certificate)
  const [created, ends] = [validFrom, validTo].map((time) => timeText(Date.parse(time)))
  return { ...about, created, ends, origin: { from: 'file', detail: tlsCert } }
}

/** Null for what has no known time. */
function timeText(ms: number): string | null {
  return ms === 0 ? null : new Date(ms).toISOString()
}
