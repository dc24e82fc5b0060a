/** A command line that does what an action of the page does, to be copied. */
import { div, el, on, setText, span } from './dom.ts'
import { icon } from './icons.ts'

export function commandText(command: string): HTMLElement {
  return copyable(el('code', {}, ...wordsOf(command)), 'Copy the command')
}

/** `label`: of the button, for whoever does not see it. */
export function copyable(code: HTMLElement, label: string): HTMLElement {
  const said = el('span', {}, 'Copy')
  const copy = el('button', { type: 'button', class: 'small', 'aria-label': label })
  copy.append(icon('copy'), said)
  on(copy, 'click', async () => setText(said, (await copied(code)) ? 'Copied' : 'Marked'))
  return div('command', code, copy)
}

/** Lines end between words: a flag that is broken at its hyphens is read wrongly. */
function wordsOf(command: string): (Node | string)[] {
  return command.split(' ').flatMap((word, i) => [...(i > 0 ? [' '] : []), span('word', word)])
}

/** Over plain HTTP browsers copy nothing by themselves: then the text is only selected. */
async function copied(code: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(code.textContent ?? '')
    return true
  } catch {
    getSelection()?.selectAllChildren(code)
    return false
  }
}

/** A word of a command line as a POSIX shell reads it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
