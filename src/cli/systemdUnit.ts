/** The text of a systemd unit that runs a node (systemd.unit(5), systemd.service(5)). */

export interface Unit {
  readonly description: string
  /** The program and its arguments. The program has an absolute path. */
  readonly command: readonly string[]
  /** How long a stop may take, ms. */
  readonly stopMs: number
  /** `multi-user.target` of the system, `default.target` of a user. */
  readonly wantedBy: 'multi-user.target' | 'default.target'
}

/** More than a stop may take by the node's own limit. */
const STOP_MARGIN_MS = 10_000

export function unitText({ description, command, stopMs, wantedBy }: Unit): string {
  return `[Unit]
Description=${description.replaceAll('%', '%%')}
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=${command.map(quoted).join(' ')}
Restart=on-failure
TimeoutStopSec=${Math.ceil((stopMs + STOP_MARGIN_MS) / 1000)}
LimitNOFILE=65536

[Install]
WantedBy=${wantedBy}
`
}

/** One word of a command line: systemd expands `%` and `$` also within quotation marks. */
function quoted(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  if (/^[\w@%+=:,./$-]+$/.test(escaped)) return escaped
  return `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
