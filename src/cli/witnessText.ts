/** What `walcast witness` prints: a script for the third machine, and what each node needs. */
import { join } from 'node:path'
import { CA_FILE, NODE_FILES, WITNESS, WITNESS_FILES } from '../security/witnessFolder.ts'
import {
  ETCD_USER,
  UNIT_NAME,
  UNIT_PATH,
  WITNESS_FOLDER,
  type WitnessPlan,
  witnessUnit,
  witnessUrl,
} from './witnessUnit.ts'

/** Certificates on the machine of a node. */
const NODE_FOLDER = '/etc/walcast-election'

/** Its lines for people are comments: it runs as it is, on the machine of the witness. */
export function witnessScript(plan: WitnessPlan, nodes: readonly string[]): string {
  const { certificate, key } = WITNESS_FILES
  const files = [CA_FILE, certificate, key].map((name) => `${WITNESS}/${name}`)
  const own = `-m 0700 -o ${ETCD_USER} -g ${ETCD_USER}`
  return `\
# A witness: the smallest etcd, on a third machine. It keeps a lease and a few notes, no rows.
# It takes 25 to 40 MB of memory, and 125 MB of disk at first, 210 MB after long.
# While it is away no node is promoted; the leader goes on while every member says that it leads.

# 1. On the machine of the witness, as root, beside the folder "${WITNESS}", which holds ${CA_FILE},
#    ${certificate} and ${key}:
set -e
if ! command -v etcd >/dev/null; then
  apt-get install -y etcd-server
  # The package starts an etcd of its own, without certificates.
  systemctl disable --now etcd
fi
install -d ${own} ${WITNESS_FOLDER} ${plan.folder}
install -m 0600 -o ${ETCD_USER} -g ${ETCD_USER} ${files.join(' ')} ${WITNESS_FOLDER}
cat >${UNIT_PATH} <<'UNIT'
${witnessUnit(plan)}UNIT
systemctl daemon-reload
systemctl enable --now ${UNIT_NAME}
${nodes.map((node, i) => nodeText(plan, node, i + 2)).join('')}`
}

function nodeText(plan: WitnessPlan, node: string, step: number): string {
  return `
# ${step}. On the machine of ${node}, as root, beside the folder "${node}". APP is its user there:
#   install -d -m 0700 -o APP ${NODE_FOLDER}
#   install -m 0600 -o APP ${node}/* ${NODE_FOLDER}
#    Then start ${node} with these options too:
#   ${nodeOptions(plan)}
`
}

/** Options of a node, on one line. */
function nodeOptions({ listen }: WitnessPlan): string {
  const { certificate, key } = NODE_FILES
  return [
    '--election etcd',
    `--etcd ${witnessUrl(listen)}`,
    `--election-ca ${join(NODE_FOLDER, CA_FILE)}`,
    `--election-cert ${join(NODE_FOLDER, certificate)}`,
    `--election-key ${join(NODE_FOLDER, key)}`,
  ].join(' ')
}
