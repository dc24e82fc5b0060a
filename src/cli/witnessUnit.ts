/**
 * The systemd unit of a witness: etcd with one member, as small as it gets, for a lease and a few
 * notes. Its flags are known to etcd 3.4 to 3.6 (https://etcd.io/docs/v3.4/op-guide/configuration).
 */
import { join } from 'node:path'
import type { HostPort } from '../hostPort.ts'
import { CA_FILE, WITNESS_FILES } from '../security/witnessFolder.ts'

export interface WitnessPlan {
  readonly listen: HostPort
  /** Where etcd keeps its data. */
  readonly folder: string
}

export const UNIT_NAME = 'walcast-witness'
export const UNIT_PATH = `/etc/systemd/system/${UNIT_NAME}.service`
/** Certificates on the machine of the witness. */
export const WITNESS_FOLDER = '/etc/walcast-witness'
/** The account that Debian's package makes. */
export const ETCD_USER = 'etcd'
const ETCD = '/usr/bin/etcd'
const MAX_PORT = 65_535
const FIRST_OPEN_PORT = 1024
/**
 * Past this etcd takes no more writes, until an operator says so. It keeps the writes of an hour:
 * 60 MB for three nodes that publish the longest notes every 1.7 s.
 */
const QUOTA_BYTES = 128 * 1024 * 1024
/**
 * Entries of its log that etcd keeps in memory, and replays at a start: 100,000 unless told
 * otherwise.
 */
const SNAPSHOT_ENTRIES = 2000
/**
 * Nobody hears the heartbeats of one member: fewer wake it less often. etcd grants no lease shorter
 * than one and a half of the time for an election, 2 s.
 */
const HEARTBEAT_MS = 200
const ELECTION_MS = 1000

/** As nodes reach it. */
export function witnessUrl({ host, port }: HostPort): string {
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`
}

export function witnessCommand({ listen, folder }: WitnessPlan): readonly string[] {
  const client = witnessUrl(listen)
  // Where other members would call; none may.
  const peerPort = listen.port < MAX_PORT ? listen.port + 1 : listen.port - 1
  const peer = witnessUrl({ host: '127.0.0.1', port: peerPort })
  const [ca, certificate, key] = [CA_FILE, WITNESS_FILES.certificate, WITNESS_FILES.key].map(
    (name) => join(WITNESS_FOLDER, name),
  )
  return [
    ETCD,
    '--name=witness',
    `--data-dir=${folder}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=witness=${peer}`,
    '--client-cert-auth',
    `--trusted-ca-file=${ca}`,
    `--cert-file=${certificate}`,
    `--key-file=${key}`,
    '--peer-client-cert-auth',
    `--peer-trusted-ca-file=${ca}`,
    `--peer-cert-file=${certificate}`,
    `--peer-key-file=${key}`,
    '--auto-compaction-mode=periodic',
    '--auto-compaction-retention=1h',
    `--quota-backend-bytes=${QUOTA_BYTES}`,
    `--snapshot-count=${SNAPSHOT_ENTRIES}`,
    '--max-snapshots=2',
    '--max-wals=2',
    `--heartbeat-interval=${HEARTBEAT_MS}`,
    `--election-timeout=${ELECTION_MS}`,
    '--logger=zap',
    '--log-level=warn',
  ]
}

export function witnessUnit(plan: WitnessPlan): string {
  const capability = plan.listen.port < FIRST_OPEN_PORT ? 'CAP_NET_BIND_SERVICE' : ''
  return `[Unit]
Description=witness of walcast (etcd)
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
User=${ETCD_USER}
WorkingDirectory=${plan.folder}
ExecStart=${witnessCommand(plan).join(' \\\n  ')}
Restart=always
RestartSec=1
LimitNOFILE=65536
NoNewPrivileges=yes
AmbientCapabilities=${capability}
CapabilityBoundingSet=${capability}
ProtectSystem=strict
ReadWritePaths=${plan.folder}
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`
}
