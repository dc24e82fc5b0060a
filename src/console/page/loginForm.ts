/** The login: a token in, a session out. The token is kept nowhere. */
import { isOverheard } from './browser.ts'
import { commandText } from './commandText.ts'
import { el, on } from './dom.ts'
import { sentence } from './format.ts'
import { newId, note, notice } from './pieces.ts'
import { asRefusal } from './requests.ts'

/** `wasIn`: a session has just ended. */
export function loginForm(
  node: string,
  wasIn: boolean,
  login: (token: string) => Promise<void>,
): HTMLElement {
  const input = el('input', {
    id: newId(),
    type: 'password',
    name: 'token',
    autocomplete: 'current-password',
    placeholder: 'wct_…',
    spellcheck: 'false',
    maxlength: 200,
    required: true,
  })
  const submit = el('button', { type: 'submit', class: 'primary' }, 'Log in')
  const said = el('div', { role: 'alert' })
  const form = el(
    'form',
    { class: 'login card' },
    el('h1', {}, 'Log in'),
    el('p', {}, 'This is the console of node ', el('b', {}, node), '.'),
    // So that a password manager tells the tokens of nodes apart.
    el('input', { name: 'username', autocomplete: 'username', value: node, hidden: true }),
    wasIn && notice('quiet', 'Your session has ended. Log in again to go on where you were.'),
    isOverheard() && notice('warn', 'This page came without TLS: the network can read your token.'),
    el('label', { for: input.id }, 'Token'),
    input,
    said,
    submit,
    note('No token? Make one on the machine of a node:'),
    commandText('walcast token create --role operate --expires 90d'),
  )
  on(form, 'submit', async (event) => {
    event.preventDefault()
    submit.disabled = true
    try {
      await login(input.value.trim())
    } catch (error) {
      const { message, cure, code } = asRefusal(error)
      // Its cure is meant for programs; what a person can do stands below.
      const isWrong = code === 'WALCAST_UNAUTHORIZED'
      const texts = isWrong ? [message] : [message, cure]
      said.replaceChildren(notice('bad', ...texts.map((text) => el('p', {}, `${sentence(text)}.`))))
      input.select()
    } finally {
      submit.disabled = false
    }
  })
  return form
}
