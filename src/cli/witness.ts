/** `walcast witness`: the third vote of two servers, as an etcd with one member on a third one. */
import { isIP } from 'node:net'
import { type HostPort, isEverywhere, parseHostPort } from '../hostPort.ts'
import { isNodeId } from '../nodeId.ts'
import { plainText } from '../plainText.ts'
import { lstatSync } from '../platform/files.ts'
import { makeWitnessCertificates } from '../security/witnessCertificates.ts'
import { WITNESS, writeWitnessFolder } from '../security/witnessFolder.ts'
import { parseFlags } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { usage } from './usage.ts'
import { witnessScript } from './witnessText.ts'
import { UNIT_NAME } from './witnessUnit.ts'

const DEFAULT_FOLDER = `/var/lib/${UNIT_NAME}`
const DEFAULT_NODES = 'node-a,node-b'
const HELP = `walcast witness --listen HOST:PORT [--make-certificates DIR] [options]

Two servers cannot tell which of them is cut off. A third, small machine can: it runs a witness, an
etcd with one member, where the leader holds a lease. Who has an etcd or a Consul needs none.

Prints a script for that machine, with a hardened systemd unit, and the options of each node. It
changes nothing but DIR, and runs anywhere. Run what it prints as root.

  --listen HOST:PORT       address of the witness, as nodes reach it
  --make-certificates DIR  make certificates for the witness and the nodes in the new folder DIR,
                           with one folder for each machine; they never end
  --nodes NAMES            the nodes [${DEFAULT_NODES}]
  --dir FOLDER             where etcd keeps its data [${DEFAULT_FOLDER}]

Certificates are made once for all nodes. For another node make a new folder, and replace all.
`

export const FLAGS = {
  help: { type: 'boolean' },
  listen: { type: 'string' },
  'make-certificates': { type: 'string' },
  nodes: { type: 'string' },
  dir: { type: 'string' },
} as const

const MAX_NODES = 64
const MAX_SHOWN_CHARS = 200
/** Of the folder of data: it stands in a unit and in a script as it is. */
const PLAIN_PATH = /^(?:\/[\w,+=:@-][\w.,+=:@-]*)+$/
/** What the unit cannot see or keep. */
const CLOSED = /^\/(?:home|root|run\/user|tmp|var\/tmp|dev|proc|sys)(?:\/|$)/

export async function runWitness(args: readonly string[]): Promise<number> {
  const flags = parseFlags(args, FLAGS)
  if (flags.help) {
    showHelp(HELP)
    return 0
  }
  const plan = {
    listen: listenAddress(flags.listen ?? ''),
    folder: dataFolder(flags.dir ?? DEFAULT_FOLDER),
  }
  const nodes = nodeNames(flags.nodes ?? DEFAULT_NODES)
  const { 'make-certificates': folder } = flags
  if (folder !== undefined) await makeCertificates(folder, plan.listen, nodes)
  process.stdout.write(witnessScript(plan, nodes))
  return 0
}

/** etcd listens on addresses only. */
function listenAddress(text: string): HostPort {
  const listen = parseHostPort(text)
  if (listen && listen.port > 0 && isIP(listen.host) !== 0 && !isEverywhere(listen)) return listen
  throw usage('--listen wants the address by which nodes reach the witness, such as 10.0.0.3:2379')
}

function dataFolder(path: string): string {
  if (PLAIN_PATH.test(path) && !CLOSED.test(path)) return path
  throw usage(`--dir wants a whole, plain path outside of homes and /tmp: ${DEFAULT_FOLDER}`)
}

function nodeNames(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim())
  const areGood =
    names.length <= MAX_NODES &&
    new Set(names).size === names.length &&
    names.every((name) => isNodeId(name) && !/^[.-]/.test(name) && name !== WITNESS)
  if (areGood) return names
  throw usage(`--nodes wants the ids of the nodes, such as ${DEFAULT_NODES}, and none twice`)
}

async function makeCertificates(
  given: string,
  { host }: HostPort,
  nodes: readonly string[],
): Promise<void> {
  const folder = given.replace(/\/+$/, '')
  const shown = plainText(given, MAX_SHOWN_CHARS)
  if (!folder) throw usage('--make-certificates wants the name of a new folder')
  if (lstatSync(folder, { throwIfNoEntry: false }))
    throw usage(`${shown} is there, and no certificate is overwritten: name another folder`)
  await writeWitnessFolder(folder, makeWitnessCertificates(host, nodes))
  const folders = [WITNESS, ...nodes].join(', ')
  process.stderr.write(`made ${shown}; carry each of its folders to its machine: ${folders}\n`)
}
