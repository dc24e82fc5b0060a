/** One row of a bundle, side by side: before, here, there. Values that differ carry a sign. */
import type { HereState, KeptCell, KeptField, KeptRow } from '../../replica/diverged/keptRow.ts'
import { type Child, div, el, span } from './dom.ts'
import { bytesText, plural } from './format.ts'
import type { Tone } from './health.ts'
import { badge, note, table } from './pieces.ts'

const HEADS = ['Column', 'Before', 'Here now', 'There']

const HERE: Readonly<Record<HereState, readonly [Tone, string]>> = {
  same: ['good', 'is here again'],
  differs: ['warn', 'differs here'],
  missing: ['warn', 'missing here'],
  unknown: ['quiet', 'not known here'],
}

/** Which row it is, in words. */
export function rowName({ table: name, fields }: KeptRow): string {
  const keys = fields.filter(({ isKey }) => isKey)
  const key = keys.map((field) => `${field.name} ${cellText(field.before)}`).join(', ')
  return key === '' ? name : `${name}, ${key}`
}

export function rowSides(row: KeptRow, choice: HTMLElement): HTMLElement {
  const { fields, fieldsLeftOut, kind, here, bytes } = row
  const [tone, word] = HERE[here]
  const name = rowName(row)
  return el(
    'section',
    { class: 'kept-row', 'aria-label': name },
    div(
      'kept-head',
      el('label', { class: 'choice' }, choice, el('span', {}, name)),
      badge('warn', kind === 'removed' ? 'the leader lacked it' : 'the leader had it otherwise'),
      badge(tone, word),
    ),
    fields.length === 0
      ? note(`A row of ${bytesText(bytes)} is too large to be shown.`)
      : table(
          `Values of ${name}`,
          HEADS,
          fields.map((field) => fieldRow(field, row)),
        ),
    fieldsLeftOut > 0 && note(`${plural(fieldsLeftOut, 'more column')}.`),
  )
}

function fieldRow(field: KeptField, { here, kind }: KeptRow): HTMLElement {
  const nothingHere = here === 'unknown' ? 'not known' : 'no such row'
  const nothingThere = kind === 'removed' ? 'no such row' : 'no such column'
  return el(
    'tr',
    {},
    el('th', { scope: 'row' }, field.name, field.isKey && span('note', ' key')),
    side(field.before, false, ''),
    side(field.here, field.isHereChanged, here === 'differs' ? 'no such column' : nothingHere),
    side(field.there, field.isThereChanged, nothingThere),
  )
}

function side(cell: KeptCell | null, isChanged: boolean, nothing: string): HTMLElement {
  if (!cell) return el('td', { class: 'value nothing' }, nothing)
  if (!isChanged) return el('td', { class: 'value' }, value(cell))
  const sign = el('span', { class: 'sign', title: 'differs from before' }, '≠ ')
  return el('td', { class: 'value changed' }, sign, value(cell))
}

function value(cell: KeptCell): Child {
  const { kind, isCut, size } = cell
  if (kind === 'null') return span('null', 'NULL')
  const unit = kind === 'text' ? 'character' : 'byte'
  const isSized = isCut || kind === 'blob'
  return el(
    'span',
    {},
    el('code', {}, cellText(cell)),
    isSized && span('note', ` ${isCut ? 'beginning of ' : ''}${plural(size, unit)}`),
  )
}

/** Texts in quotation marks: the text NULL is no NULL. */
function cellText({ kind, text, isCut }: KeptCell): string {
  const more = isCut ? '…' : ''
  if (kind === 'null') return 'NULL'
  if (kind === 'text') return `'${text}'${more}`
  if (kind === 'blob' || kind === 'bytes') return `x'${text}'${more}`
  return text
}
