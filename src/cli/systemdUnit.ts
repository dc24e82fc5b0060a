/** The text of a systemd unit that runs a node (systemd.unit(5), systemd.service(5)). */

export interface Unit {
  readonly description: string
  /** The program and its arguments. The program has an absolute path. */
  readonly command: readonly string[]
  /** Each as NAME=VALUE. */
  readonly environment?: readonly string[]
  /** A name, or a number with `group`. The manager's own user when not given. */
  readonly user?: string
  readonly group?: string
  readonly folder?: string
  /** Whether a user other than root listens on a port below 1024. */
  readonly bindsLowPorts?: boolean
  /** How long a stop may take, ms. */
  readonly stopMs: number
  /** `multi-user.target` of the system, `default.target` of a user. */
  readonly wantedBy: 'multi-user.target' | 'default.target'
}

/** More than a stop may take by the node's own limit. */
const STOP_MARGIN_MS = 10_000

export function unitText(unit: Unit): string {
  return `[Unit]
Description=${percentsDoubled(unit.description)}
After=network-online.target
Wants=network-online.target

[Service]
${serviceLines(unit).join('\n')}
Restart=on-failure
TimeoutStopSec=${Math.ceil((unit.stopMs + STOP_MARGIN_MS) / 1000)}
LimitNOFILE=65536

[Install]
WantedBy=${unit.wantedBy}
`
}

function serviceLines(unit: Unit): readonly string[] {
  const { command, environment = [], user, group, folder, bindsLowPorts = false } = unit
  return [
    ...(user === undefined ? [] : [`User=${user}`]),
    ...(group === undefined ? [] : [`Group=${group}`]),
    ...(bindsLowPorts ? ['AmbientCapabilities=CAP_NET_BIND_SERVICE'] : []),
    ...(folder === undefined ? [] : [`WorkingDirectory=${percentsDoubled(folder)}`]),
    ...environment.map((variable) => `Environment=${quoted(percentsDoubled(variable))}`),
    `ExecStart=${command.map(commandWord).join(' ')}`,
  ]
}

/** systemd expands `%` everywhere. */
function percentsDoubled(text: string): string {
  return text.replaceAll('%', '%%')
}

/** systemd expands `$` in command lines, also within quotation marks. */
function commandWord(word: string): string {
  return quoted(percentsDoubled(word).replaceAll('$', '$$$$'))
}

/** One word, in quotation marks where it needs them. */
function quoted(word: string): string {
  if (/^[\w@%+=:,./$-]+$/.test(word)) return word
  const escaped = word.replaceAll(/["\\]/g, '\\$&').replaceAll(/\p{Cc}/gu, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(2, '0')
    return `\\x${code}`
  })
  return `"${escaped}"`
}
