/** Light or dark: as the system has it, or as was chosen here. */
import { keep, kept } from './browser.ts'
import { div, el, on, option } from './dom.ts'
import { newId } from './pieces.ts'

const THEMES = ['auto', 'light', 'dark'] as const
type Theme = (typeof THEMES)[number]
const KEY = 'walcast-theme'

export function applyTheme(theme: Theme = keptTheme()): void {
  if (theme === 'auto') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
}

export function themeSwitch(): HTMLElement {
  const options = THEMES.map((theme) => option(theme, theme))
  const select = el('select', { id: newId(), class: 'theme' }, ...options)
  select.value = keptTheme()
  on(select, 'change', () => {
    keep(KEY, select.value)
    applyTheme()
  })
  return div(
    'theme-switch',
    el('label', { for: select.id, class: 'hidden-label' }, 'Theme'),
    select,
  )
}

function keptTheme(): Theme {
  return THEMES.find((theme) => theme === kept(KEY)) ?? 'auto'
}
