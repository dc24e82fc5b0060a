/** The secret, the keys and the certificate that nodes go by: their names, their age, their end. */
import type { KeyInfo } from '../../../api/optionsInForce.ts'
import { originText } from '../../../options/optionOrigin.ts'
import { rotateKey, rotateSecret } from '../accessActions.ts'
import { openAction } from '../actionDialog.ts'
import { div, el, refill } from '../dom.ts'
import { agoText, cutMiddle, isoText, timeText } from '../format.ts'
import { refusalText } from '../permission.ts'
import { badge, GuardedButton, note, section, table } from '../pieces.ts'
import { insteadOfAnswer } from '../refusalNotice.ts'
import type { Refusal } from '../requests.ts'
import type { ConsoleState } from '../state.ts'

const MINUTE_MS = 60_000
const ID_CHARS = 17

const WORDS: Readonly<Record<KeyInfo['kind'], string>> = {
  secret: 'Cluster secret',
  'settings-key': 'Key of settings',
  certificate: 'Certificate of this node',
}

export class KeysSection {
  readonly element: HTMLElement
  readonly #list = el('div')
  readonly #secret = new GuardedButton('Replace the secret…', () => openAction(rotateSecret()))
  readonly #key = new GuardedButton('Replace the key of settings…', () => openAction(rotateKey()))

  constructor() {
    const buttons = div('row-actions', this.#secret.element, this.#key.element)
    this.element = section('Secret and keys', this.#list, buttons)
  }

  /** `keys`: undefined before the first answer. `refusal`: why there is none. */
  update(
    state: ConsoleState,
    keys: readonly KeyInfo[] | undefined,
    refusal: Refusal | undefined,
  ): void {
    const why = state.isOpen ? 'An open cluster has no secret.' : refusalText(state, 'admin')
    for (const each of [this.#secret, this.#key]) each.update(why)
    const minute = Math.floor(state.nowMs / MINUTE_MS)
    refill(this.#list, [keys, refusal?.message, minute], () => [
      keys ? listOf(keys, state.nowMs) : insteadOfAnswer(refusal),
    ])
  }
}

function listOf(keys: readonly KeyInfo[], nowMs: number): HTMLElement {
  if (keys.length === 0) return note('There is no secret and no key: this cluster is open.')
  const heads = ['What', 'Name', 'Made', 'Ends', 'From']
  return table(
    'Secret and keys',
    heads,
    keys.map((key) => keyRow(key, nowMs)),
  )
}

function keyRow({ kind, id, created, ends, isInUse, origin }: KeyInfo, nowMs: number): HTMLElement {
  const time = (iso: string) => isoText(iso, nowMs)
  return el(
    'tr',
    {},
    el('th', { scope: 'row' }, WORDS[kind], ' ', badge('quiet', isInUse ? 'in use' : 'older')),
    el('td', { class: 'mono', title: id }, cutMiddle(id, ID_CHARS)),
    el('td', {}, ...madeParts(created, nowMs)),
    el('td', {}, ends ? time(ends) : 'when replaced'),
    el('td', { class: 'wide' }, originText(origin)),
  )
}

/** Its age, and when that was. */
function madeParts(created: string | null, nowMs: number): (Node | string)[] {
  if (created === null) return ['not known']
  const atMs = Date.parse(created)
  const note = div('note', timeText(atMs, nowMs))
  return [agoText(Math.max(0, nowMs - atMs)), note]
}
