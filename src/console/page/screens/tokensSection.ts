/** Tokens: who may ask the nodes of the cluster for what. */
import {
  MAX_NOTE_CHARS,
  TOKENS_PATH,
  type TokenInfo,
  type TokensAnswer,
} from '../../../api/tokens.ts'
import { TOKEN_ROLES, type TokenRole } from '../../../security/tokenRoles.ts'
import { createToken, revokeToken } from '../accessActions.ts'
import { openAction } from '../actionDialog.ts'
import { div, el, option, refill, span } from '../dom.ts'
import { isoText } from '../format.ts'
import { startPoll } from '../pagePoll.ts'
import { refusalText } from '../permission.ts'
import { button, GuardedButton, labelled, note, section, table } from '../pieces.ts'
import type { Poll } from '../poll.ts'
import { insteadOfAnswer } from '../refusalNotice.ts'
import { ask, type Refusal } from '../requests.ts'
import type { ConsoleState } from '../state.ts'
import type { Store } from '../store.ts'

/** How often the list is read. */
const ASK_MS = 3000

export class TokensSection {
  readonly element: HTMLElement
  readonly #list = el('div')
  readonly #role = el('select', { id: 'token-role' })
  readonly #note = el('input', { id: 'token-note', maxlength: MAX_NOTE_CHARS })
  readonly #create = new GuardedButton('Create a token…', () => this.#make(), 'primary')
  #tokens: readonly TokenInfo[] | undefined
  #refusal: Refusal | undefined
  readonly #poll: Poll

  constructor(store: Store) {
    this.#role.append(...TOKEN_ROLES.map((role) => option(role, role)))
    this.#role.value = 'read'
    const fields = div(
      'filters',
      labelled('Role', this.#role),
      labelled('Note', this.#note),
      this.#create.element,
    )
    this.element = section('Tokens', fields, this.#list)
    this.#poll = startPoll({
      read: async () => {
        const { state } = store
        if (!state.isOpen && !refusalText(state, 'admin'))
          this.#tokens = (await ask<TokensAnswer>('GET', TOKENS_PATH)).tokens
      },
      onRead: (refusal) => {
        this.#refusal = refusal
        this.update(store.state)
      },
      pauseMs: ASK_MS,
    })
  }

  update(state: ConsoleState): void {
    const why = state.isOpen ? 'An open cluster has no secret.' : refusalText(state, 'admin')
    this.#create.update(why)
    refill(this.#list, [this.#tokens, this.#refusal?.message, why], () => [this.#table(state, why)])
  }

  unmount(): void {
    this.#poll.close()
  }

  #make(): void {
    openAction(createToken(this.#role.value as TokenRole, this.#note.value.trim()))
  }

  #table(state: ConsoleState, why: string | undefined): HTMLElement {
    if (why) return note(why)
    if (!this.#tokens) return insteadOfAnswer(this.#refusal)
    if (this.#tokens.length === 0) return note('There is no token.')
    return table(
      'Tokens',
      ['Token', 'Role', 'Note', 'Made', 'Ends', ''],
      this.#tokens.map((token) => tokenRow(token, state)),
    )
  }
}

function tokenRow(
  { id, role, note, created, expires }: TokenInfo,
  state: ConsoleState,
): HTMLElement {
  const time = (iso: string) => isoText(iso, state.nowMs)
  const isOwn = state.session?.token === id
  const revoke = button('Revoke…', () => openAction(revokeToken(id, isOwn)), 'small')
  revoke.setAttribute('aria-label', `Revoke ${id}`)
  return el(
    'tr',
    {},
    el('th', { scope: 'row' }, id, isOwn && span('note', ' (this session)')),
    el('td', {}, role),
    el('td', { class: 'wide' }, note),
    el('td', {}, time(created)),
    el('td', {}, expires ? time(expires) : 'when revoked'),
    el('td', {}, revoke),
  )
}
