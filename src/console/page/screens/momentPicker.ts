/** A moment of an archive's past, picked on its line. */
import { type ArchiveLine, grainAt, momentText } from '../archiveLine.ts'
import { commandText, shellWord } from '../commandText.ts'
import { div, el, on, refill, setText, svg } from '../dom.ts'
import { timeText } from '../format.ts'
import { labelled, newId } from '../pieces.ts'

const STEPS = 1000
const LINE_PX = 14

export class MomentPicker {
  readonly element: HTMLElement
  readonly #place: string
  readonly #line = el('div', { class: 'archive-line', 'aria-hidden': 'true' })
  readonly #slider = el('input', { type: 'range', min: 0, max: STEPS, value: STEPS, id: newId() })
  /** In the browser's time zone, as people say when something went wrong. */
  readonly #exact = el('input', { type: 'datetime-local', step: 1, id: newId() })
  readonly #said = el('output', { for: this.#slider.id })
  readonly #command = div('stack')
  readonly #onPick: () => void
  #shown: ArchiveLine | undefined
  /** Undefined: the newest one. It stays while the line grows. */
  #pickedMs: number | undefined
  #nowMs = 0

  /** `onPick` hears that another moment is picked. */
  constructor(place: string, onPick: () => void) {
    this.#place = place
    this.#onPick = onPick
    on(this.#slider, 'input', () => this.#slide())
    on(this.#exact, 'change', () => this.#pick(Date.parse(this.#exact.value)))
    this.element = div(
      'stack',
      el('label', { class: 'label', for: this.#slider.id }, 'Pick a moment'),
      this.#line,
      this.#slider,
      div('filters', labelled('Or type it', this.#exact), el('p', {}, this.#said)),
      this.#command,
    )
  }

  /** As commands take it. */
  get at(): string {
    return this.#moment() ?? 'newest'
  }

  update(line: ArchiveLine | undefined, nowMs: number): void {
    this.element.hidden = line === undefined
    this.#shown = line
    this.#nowMs = nowMs
    if (!line) return
    refill(this.#line, line.spans, () => [drawing(line)])
    this.#draw()
  }

  #draw(): void {
    const line = this.#shown
    if (!line) return
    const isNewest = this.#pickedMs === undefined
    const atMs = this.#pickedMs ?? line.toMs
    this.#slider.value = String(isNewest ? STEPS : stepAt(line, atMs))
    if (document.activeElement !== this.#exact) this.#exact.value = localText(atMs)
    const grain = grainAt(line, atMs)
    const fine =
      grain === undefined
        ? 'nothing is kept there: the last one before'
        : grain === 'all'
          ? 'each position is there'
          : grain
    const when = isNewest ? 'the newest position' : `${timeText(atMs, this.#nowMs)} (${fine})`
    setText(this.#said, when)
    this.#slider.setAttribute('aria-valuetext', when)
    const moment = this.#moment()
    const from = `--from ${shellWord(this.#place)}`
    const at = moment === undefined ? '' : ` --at ${moment}`
    refill(this.#command, [moment], () => [
      el('p', { class: 'label' }, 'Make it the next state of the cluster, on the command line'),
      commandText(`walcast restore ${from} --into NODE${at}`),
    ])
  }

  #slide(): void {
    const line = this.#shown
    const share = Number(this.#slider.value) / STEPS
    if (line) this.#pick(line.fromMs + share * (line.toMs - line.fromMs))
  }

  /** One beyond the line is the nearest on it. */
  #pick(atMs: number): void {
    const line = this.#shown
    if (!line || !Number.isFinite(atMs)) return
    // Commands take whole seconds: none of them lies before the first position.
    const asked = Math.max(Math.ceil(line.fromMs / 1000) * 1000, atMs)
    const pickedMs = asked >= line.toMs ? undefined : asked
    const isOther = pickedMs !== this.#pickedMs
    this.#pickedMs = pickedMs
    this.#draw()
    if (isOther) this.#onPick()
  }

  #moment(): string | undefined {
    return this.#pickedMs === undefined ? undefined : momentText(this.#pickedMs)
  }
}

function stepAt({ fromMs, toMs }: ArchiveLine, atMs: number): number {
  return Math.round((STEPS * (atMs - fromMs)) / Math.max(1, toMs - fromMs))
}

/** As the field for a time has it: local, to the second. */
function localText(atMs: number): string {
  const eastMs = -new Date(atMs).getTimezoneOffset() * 60_000
  return momentText(atMs + eastMs).replace(/Z$/, '')
}

function drawing({ fromMs, toMs, spans }: ArchiveLine): SVGElement {
  const whole = Math.max(1, toMs - fromMs)
  const bars = spans.map((span) => {
    const x = (STEPS * (span.fromMs - fromMs)) / whole
    const width = Math.max(4, (STEPS * (span.toMs - span.fromMs)) / whole)
    const kind = span.grain === 'all' ? 'fine' : 'coarse'
    return svg('rect', { x, y: 0, width, height: LINE_PX, class: kind })
  })
  const attributes = { viewBox: `0 0 ${STEPS} ${LINE_PX}`, preserveAspectRatio: 'none' }
  return svg('svg', attributes, ...bars)
}
