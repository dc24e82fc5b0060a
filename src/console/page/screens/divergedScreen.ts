/** What this node kept aside because its leader may lack it: bundles, their rows, their end. */
import { BUNDLES_PATH, type BundleInfo, type BundlesAnswer } from '../../../api/bundles.ts'
import { openAction } from '../actionDialog.ts'
import { shellWord } from '../commandText.ts'
import { lostRows, removeBundle } from '../divergedActions.ts'
import { div, el, refill, span } from '../dom.ts'
import { bytesText, isoText, plural } from '../format.ts'
import { refusalText } from '../permission.ts'
import { badge, busy, button, card, facts, GuardedButton, note, notice } from '../pieces.ts'
import { refusalNotice } from '../refusalNotice.ts'
import { ask, asRefusal, type Refusal } from '../requests.ts'
import { parseRoute, routeText } from '../routes.ts'
import type { MountedScreen, Screen } from '../screen.ts'
import type { ConsoleState } from '../state.ts'
import type { Store } from '../store.ts'
import { KeptRowsCard } from './keptRowsCard.ts'

const ID = 'diverged'

export const divergedScreen: Screen = {
  id: ID,
  title: 'Diverged',
  icon: 'diverged',
  count: ({ status }) => status?.diverged?.length ?? 0,
  mount: (root, store) => new DivergedScreen(root, store),
}

class DivergedScreen implements MountedScreen {
  readonly #store: Store
  readonly #list = div('stack')
  readonly #others = el('div')
  readonly #about = div('stack')
  readonly #rows = div('stack')
  readonly #delete: GuardedButton
  #bundles: readonly BundleInfo[] | undefined
  #refusal: Refusal | undefined
  /** What the node told of its bundles when they were asked for. */
  #asked: string | undefined
  #card: KeptRowsCard | undefined
  #open = ''

  #round = 0

  constructor(root: HTMLElement, store: Store) {
    this.#store = store
    this.#delete = new GuardedButton(
      'Delete this bundle…',
      () => openAction(removeBundle(this.#open)),
      'danger',
    )
    root.append(
      note('Rows that this node had and its leader may lack.'),
      card('Bundles', this.#list, this.#others),
      this.#about,
      this.#rows,
    )
  }

  update(state: ConsoleState): void {
    const told = JSON.stringify(state.status?.diverged ?? [])
    if (told !== this.#asked) {
      this.#asked = told
      void this.#load()
    }
    const bundles = this.#bundles
    const { rest } = parseRoute(location.hash)
    const open = bundles?.find(({ name }) => name === rest)
    refill(this.#list, [bundles, this.#refusal?.message, rest, day(state)], () =>
      this.#listed(state, rest),
    )
    const away = othersText(state)
    refill(this.#others, away, () => [away !== '' && notice('quiet', away)])
    refill(this.#about, [open, day(state)], () => (open ? [this.#aboutCard(open, state)] : []))
    this.#openRows(open)
    this.#delete.update(refusalText(state, removeBundle('').needs))
    this.#card?.update(state)
  }

  #openRows(open: BundleInfo | undefined): void {
    this.#open = open?.name ?? ''
    const shown = open?.state === 'compared' ? open : undefined
    if (shown?.name === this.#card?.name) return
    this.#card = shown && new KeptRowsCard(shown, () => this.#store.state)
    this.#rows.replaceChildren(...(this.#card ? [this.#card.element] : []))
  }

  #listed(state: ConsoleState, open: string): HTMLElement[] {
    if (this.#refusal)
      return [refusalNotice(this.#refusal), button('Ask again', () => void this.#load())]
    const bundles = this.#bundles
    if (!bundles) return [busy('Asking…')]
    if (bundles.length === 0) return [notice('good', 'No rows are kept aside on this node.')]
    return [el('ul', { class: 'bundles' }, ...bundles.map((each) => bundleItem(each, open, state)))]
  }

  #aboutCard(bundle: BundleInfo, { nowMs }: ConsoleState): HTMLElement {
    const { name, at, node, leader, position, reason, isDamaged, state, isComplete } = bundle
    return card(
      name,
      isDamaged === true && notice('bad', 'The copy was damaged: these rows may be the damage.'),
      state === 'compared' &&
        !isComplete &&
        notice('warn', 'The list lacks some rows: tables or pages could not be compared.'),
      state !== 'compared' && notice('warn', uncompared(bundle)),
      facts([
        ['When', isoText(at, nowMs)],
        ['Why', reason],
        ['Node', node],
        ['Stood at', position],
        ['Its leader', leader],
        ['Size', bytesText(bundle.bytes)],
      ]),
      this.#delete.element,
    )
  }

  unmount(): void {
    this.#round++
  }

  /** Of two questions the later one counts. */
  async #load(): Promise<void> {
    const round = ++this.#round
    let bundles = this.#bundles
    let refusal: Refusal | undefined
    try {
      bundles = (await ask<BundlesAnswer>('GET', BUNDLES_PATH)).bundles
    } catch (error) {
      refusal = asRefusal(error)
    }
    if (round !== this.#round) return
    this.#bundles = bundles
    this.#refusal = refusal
    this.update(this.#store.state)
  }
}

/** A day decides whether a time is shown with its date. */
function day({ nowMs }: ConsoleState): string {
  return new Date(nowMs).toDateString()
}

function bundleItem(bundle: BundleInfo, open: string, { nowMs }: ConsoleState): HTMLElement {
  const { name, at, kind, rows, tables, bytes, reason } = bundle
  const isOpen = name === open
  const counts = rows ? lostRows(rows.removed, rows.changed) : uncompared(bundle)
  const where = tables.length > 0 ? ` in ${tables.map(({ table }) => table).join(', ')}` : ''
  const word = kind === 'diverged' ? badge('warn', 'diverged') : badge('quiet', 'routine')
  return el(
    'li',
    {},
    el(
      'a',
      { href: routeText(ID, name), 'aria-current': isOpen ? 'true' : undefined },
      `${isoText(at, nowMs)}, at ${bundle.position}`,
    ),
    word,
    el('span', {}, `${counts}${where}`),
    span('note', `${bytesText(bytes)}; ${reason}`),
  )
}

function uncompared({ state, detail, isComparing }: BundleInfo): string {
  if (isComparing) return 'Its rows are being compared.'
  return state === 'kept'
    ? 'Its rows are not compared yet.'
    : `Its rows could not be compared: ${detail ?? state}.`
}

/** Which other nodes keep rows aside. */
function othersText({ cluster, node }: ConsoleState): string {
  const others =
    cluster?.nodes.filter((each) => each.node !== node && (each.bundles ?? 0) > 0) ?? []
  if (others.length === 0) return ''
  const each = others.map((other) => `${other.node} (${plural(other.bundles ?? 0, 'bundle')})`)
  const command = `walcast diverged list --node ${shellWord(others[0].node)}`
  return `Other nodes keep rows aside: ${each.join(', ')}. Open their consoles, or: ${command}`
}
