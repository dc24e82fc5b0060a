/** Which time the screen of lag shows: a span up to now, or a part of it. Pure. */

/** The stream brings the newest slots only: what is between them and the answer is asked for. */
const ASK_HOUR_MS = 15_000

export const SPANS = {
  hour: { title: 'Hour', ms: 60 * 60_000, since: '1h', askAgainMs: ASK_HOUR_MS },
  day: { title: 'Day', ms: 24 * 60 * 60_000, since: '1d', askAgainMs: 60_000 },
  week: { title: 'Week', ms: 7 * 24 * 60 * 60_000, since: '7d', askAgainMs: 5 * 60_000 },
} as const
export type Span = keyof typeof SPANS

/** ms since 1970 in the node's clock. */
export interface Window {
  readonly fromMs: number
  readonly toMs: number
}

export interface LagView {
  readonly span: Span
  /** Parts that were chosen, each within the one before; empty: the whole span, up to now. */
  readonly zooms: readonly Window[]
}

const LEAST_MS = 60_000
const MAX_ZOOMS = 32

export function windowOf({ span, zooms }: LagView, nowMs: number): Window {
  return zooms.at(-1) ?? { fromMs: nowMs - SPANS[span].ms, toMs: nowMs }
}

/** A window that is too short is made longer, and one past now ends there. */
export function zoomedTo(view: LagView, { fromMs, toMs }: Window, nowMs: number): LagView {
  const length = Math.max(LEAST_MS, toMs - fromMs)
  const middle = (fromMs + toMs) / 2
  const end = Math.round(Math.min(middle + length / 2, nowMs))
  const zoom = { fromMs: Math.round(end - length), toMs: end }
  return { ...view, zooms: [...view.zooms, zoom].slice(-MAX_ZOOMS) }
}

/** Half of what is shown, around `aboutMs`; around its middle unless given. */
export function zoomedIn(view: LagView, nowMs: number, aboutMs?: number): LagView {
  const { fromMs, toMs } = windowOf(view, nowMs)
  const about = aboutMs ?? (fromMs + toMs) / 2
  const quarter = (toMs - fromMs) / 4
  return zoomedTo(view, { fromMs: about - quarter, toMs: about + quarter }, nowMs)
}

export function zoomedBack(view: LagView): LagView {
  return { ...view, zooms: view.zooms.slice(0, -1) }
}

/** By half of what is shown; `by`: -1 to earlier times, 1 to later ones. */
export function moved(view: LagView, by: -1 | 1, nowMs: number): LagView {
  const { fromMs, toMs } = windowOf(view, nowMs)
  const step = (by * (toMs - fromMs)) / 2
  const next = zoomedTo(view, { fromMs: fromMs + step, toMs: toMs + step }, nowMs)
  // It takes the place of the part that was shown.
  const zooms = [...view.zooms.slice(0, -1), ...next.zooms.slice(-1)]
  return { ...view, zooms }
}

/** The arguments of `walcast lag` that show the same. */
export function sinceFlags({ span, zooms }: LagView): string {
  const zoom = zooms.at(-1)
  if (!zoom) return `--since ${SPANS[span].since}`
  const [from, to] = [zoom.fromMs, zoom.toMs].map((ms) => new Date(ms).toISOString())
  return `--since ${from} --until ${to}`
}
