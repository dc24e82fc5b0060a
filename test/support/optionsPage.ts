/** Makes docs/options.md from the table of options. */
import { fileURLToPath } from 'node:url'
import { LOG_OPTIONS } from '../../src/cli/logOptions.ts'
import { environmentName, isRequired } from '../../src/cli/nodeArguments.ts'
import { OWN_OPTIONS, type RunOption } from '../../src/cli/runOptions.ts'
import type { OptionSpec } from '../../src/options/optionSpec.ts'
import { NODE_OPTIONS } from '../../src/options/options.ts'

export const OPTIONS_PAGE = fileURLToPath(new URL('../../../docs/options.md', import.meta.url))

const HEAD = `# Options of a node

All options of \`walcast leader\`, \`replica\`, \`node\` and \`run\`.
\`walcast COMMAND --help\` lists the common ones, \`--help --all\` all of them.

- A flag beats the environment. The environment beats the TOML file that \`--config FILE\`
  (\`WALCAST_CONFIG\`) names.
- The key in that file is the flag without its dashes: \`proxy = "0.0.0.0:80"\`.
- A flag without a value, such as \`--standby\`, is \`true\` or \`false\` in environment and file.
- Times are \`250ms\`, \`30s\`, \`5m\` or \`1h\`, sizes \`4MiB\` or \`500KB\`; lists have commas.
- A node refuses a flag of the other role. From environment and file it accepts options of the other
  role that have a default: they count once the node has that role.
- A program that embeds a node gives the same in camel case with the unit (\`readWaitMs: 1000\`).
- \`--print-config\` shows all of them with where each came from, \`walcast check-config\` every
  mistake, [\`walcast config\`](operating/looking.md#which-options-are-in-force) those in force.

The cluster secret is not an option: it comes from \`WALCAST_SECRET\` or \`WALCAST_SECRET_FILE\`.
\`WALCAST_NODE\` is the node that commands ask. \`WALCAST_DEBUG=1\` adds the stack to
an error of a command.

\`scripts/reference\` writes this page from the table in \`src/options\`;
\`npm test\` compares them.
`

const RUN = `
## Options of \`walcast run\`

\`walcast run\` takes the options above, and these. They have no key in the file.
`

const LOGS = `
## Options of the log

All four commands take these too, and the file has keys for them. A program that embeds a node
brings its own logger. Log lines are JSON with the level as a word, or on a terminal a line each.
`

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')

export function optionsPage(): string {
  return [
    HEAD,
    ...table(NODE_OPTIONS.map(nodeRow)),
    RUN,
    ...table(OWN_OPTIONS.map(runRow)),
    LOGS,
    ...table(LOG_OPTIONS.map((option) => row(option, '', undefined))),
    '',
  ].join('\n')
}

function table(rows: readonly string[]): string[] {
  return ['| option | role | default | what it is |', '|---|---|---|---|', ...rows]
}

function nodeRow(spec: OptionSpec): string {
  const role = spec.roles.length === 2 ? '' : spec.roles[0]
  const needed = isRequired(spec, spec.roles.includes('leader') ? 'leader' : 'replica')
    ? 'required'
    : ''
  return row(spec, role, spec.default || needed)
}

function runRow(spec: RunOption): string {
  return row(spec, '', spec.default)
}

function row(
  spec: Pick<OptionSpec, 'flag' | 'value' | 'help'>,
  role: string,
  fallback: string | undefined,
): string {
  const flag = `--${spec.flag}${spec.value ? ` ${spec.value}` : ''}`
  const names = `\`${flag}\`<br>\`${environmentName(spec)}\``
  return `| ${names} | ${role} | ${fallback ?? ''} | ${cell(spec.help)} |`
}
