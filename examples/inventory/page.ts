/** The page as HTML. */
import type { NodeRole } from 'walcast'
import { Html, html } from './html.ts'
import type { JournalEntry, Machine, NamedEndpoint, Network } from './inventory.ts'
import { STYLE } from './style.ts'

export interface PageContent {
  /** The node that made the page. */
  readonly node: string
  readonly role: NodeRole
  readonly position: string
  readonly machines: readonly Machine[]
  readonly networks: readonly Network[]
  readonly endpoints: readonly NamedEndpoint[]
  readonly journal: readonly JournalEntry[]
  /** Whether one can log out. */
  readonly hasLogin: boolean
  /** Why the last form was refused. */
  readonly refused: string | undefined
}

const ADDRESS_INPUT = html`name="address" required maxlength="39"
pattern="[0-9a-fA-F.:]+" placeholder="10.0.0.5"`
const RANGE_INPUT = html`name="cidr" required maxlength="43"
pattern="[0-9a-fA-F.:]+/[0-9]{1,3}" placeholder="10.0.0.0/24"`

export function pageOf(content: PageContent): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Inventory (${content.node})</title>
<link rel="icon" href="data:,">
<style>${new Html(STYLE)}</style>
</head>
<body>
${headerOf(content)}
<main>
${refusalOf(content.refused)}
${endpointsOf(content)}
<div class="pair">
${machinesOf(content.machines)}
${networksOf(content.networks)}
</div>
${journalOf(content.journal)}
</main>
</body>
</html>
`.text
}

function headerOf({ node, role, position, hasLogin }: PageContent): Html {
  return html`<header>
<h1>Inventory</h1>
<dl aria-label="This page was made by">
<div><dt>Node</dt><dd>${node}</dd></div>
<div><dt>Role</dt><dd><span class="badge ${role}">${role}</span></dd></div>
<div><dt>Position</dt><dd><code>${position}</code></dd></div>
</dl>
${hasLogin ? button('/logout', 'Log out', 'Log out') : undefined}
</header>`
}

function endpointsOf({ endpoints, machines, networks }: PageContent): Html {
  const rows = endpoints.map(
    ({ id, machine, network, address, state, seenAt }) => html`<tr>
<th scope="row">${machine}</th><td>${network}</td><td><code>${address}</code></td>
<td><span class="badge ${state}">${state}</span></td><td>${timeOf(seenAt)}</td>
<td class="acts">${button(`/endpoints/${id}/seen`, 'Seen', `${address} was seen`)}
${button(`/endpoints/${id}/delete`, 'Delete', `Delete ${address}`)}</td>
</tr>`,
  )
  return section(
    'endpoints',
    'Endpoints',
    table(
      'Endpoints',
      ['Machine', 'Network', 'Address', 'State', 'Last seen (UTC)'],
      rows,
      'No endpoints yet.',
    ),
    machines.length > 0 && networks.length > 0
      ? html`<form class="add" method="post" action="/endpoints">
${select('endpoint-machine', 'machineId', 'Machine', machines)}
${select('endpoint-network', 'networkId', 'Network', networks)}
${field('endpoint-address', 'Address', ADDRESS_INPUT)}
<button>Add endpoint</button>
</form>`
      : html`<p class="hint">
An endpoint is a machine's address in a network: add one of each first.</p>`,
  )
}

function machinesOf(machines: readonly Machine[]): Html {
  const rows = machines.map(
    ({ id, name, notes }) => html`<tr>
<th scope="row">${name}</th><td class="long">${notes}</td>
<td class="acts">${button(`/machines/${id}/delete`, 'Delete', `Delete ${name}`)}</td>
</tr>`,
  )
  return section(
    'machines',
    'Machines',
    table('Machines', ['Name', 'Notes'], rows, 'No machines yet.'),
    html`<form class="add" method="post" action="/machines">
${field('machine-name', 'Name', html`name="name" required maxlength="60" placeholder="web-1"`)}
${field('machine-notes', 'Notes', html`name="notes" maxlength="500"`)}
<button>Add machine</button>
</form>`,
  )
}

function networksOf(networks: readonly Network[]): Html {
  const rows = networks.map(
    ({ id, name, cidr }) => html`<tr>
<th scope="row">${name}</th><td><code>${cidr}</code></td>
<td class="acts">${button(`/networks/${id}/delete`, 'Delete', `Delete ${name}`)}</td>
</tr>`,
  )
  return section(
    'networks',
    'Networks',
    table('Networks', ['Name', 'Range'], rows, 'No networks yet.'),
    html`<form class="add" method="post" action="/networks">
${field('network-name', 'Name', html`name="name" required maxlength="60" placeholder="office"`)}
${field('network-cidr', 'Range', RANGE_INPUT)}
<button>Add network</button>
</form>`,
  )
}

function journalOf(journal: readonly JournalEntry[]): Html {
  const rows = journal.map(
    ({ at, node, what }) => html`<tr><td>${timeOf(at)}</td><td>${node}</td><td>${what}</td></tr>`,
  )
  return section(
    'journal',
    'What servers did on their own',
    table('Journal', ['Time (UTC)', 'Node', 'What'], rows, 'Nothing yet.', false),
  )
}

function section(id: string, title: string, ...content: readonly Html[]): Html {
  return html`<section aria-labelledby="${id}">
<h2 id="${id}">${title}</h2>
${content}
</section>`
}

/** `hasActs`: the last column has buttons. */
function table(
  label: string,
  columns: readonly string[],
  rows: readonly Html[],
  empty: string,
  hasActs = true,
): Html {
  if (rows.length === 0) return html`<p class="hint">${empty}</p>`
  const heads = columns.map((column) => html`<th scope="col">${column}</th>`)
  const acts = hasActs ? html`<th scope="col"><span class="unseen">Actions</span></th>` : undefined
  return html`<div class="scroll" role="region" aria-label="${label}" tabindex="0"><table>
<thead><tr>${heads}${acts}</tr></thead>
<tbody>
${rows}
</tbody>
</table></div>`
}

function refusalOf(refused: string | undefined): Html | undefined {
  if (refused === undefined) return undefined
  return html`<p class="refused" role="alert">Not saved: ${refused}.</p>`
}

function field(id: string, label: string, attributes: Html): Html {
  return html`<div><label for="${id}">${label}</label>
<input id="${id}" autocomplete="off" ${attributes}></div>`
}

function select(
  id: string,
  name: string,
  label: string,
  from: readonly (Machine | Network)[],
): Html {
  const options = from.map((one) => html`<option value="${one.id}">${one.name}</option>`)
  return html`<div><label for="${id}">${label}</label>
<select id="${id}" name="${name}">${options}</select></div>`
}

function button(action: string, text: string, label: string): Html {
  return html`<form method="post" action="${action}">
<button class="small" aria-label="${label}">${text}</button></form>`
}

function timeOf(iso: string): Html {
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')}</time>`
}
