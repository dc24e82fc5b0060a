/** Numbers, times and sizes as people read them. Pure. */

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const SIZES = ['B', 'KB', 'MB', 'GB', 'TB'] as const

/** 1,234,567, whatever the language of the browser. */
export function countText(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** As commands take it. */
export function positionText(epoch: number | null, txid: number): string {
  return `${epoch ?? '?'}-${txid}`
}

/** "1 transaction", "2 transactions". */
export function plural(count: number, what: string): string {
  return `${countText(count)} ${what}${count === 1 ? '' : 's'}`
}

/** A time of two units at most: "0.4 ms", "37 ms", "4.2 s", "3 min 5 s", "2 h 10 min", "4 d". */
export function durationText(ms: number): string {
  const shown = Math.max(0, ms)
  if (shown < 10) return `${Number(shown.toFixed(1))} ms`
  if (shown < SECOND) return `${Math.round(shown)} ms`
  if (shown < 10 * SECOND) return `${(shown / SECOND).toFixed(1)} s`
  if (shown < MINUTE) return `${Math.floor(shown / SECOND)} s`
  if (shown < HOUR) return twoUnits(shown, MINUTE, 'min', SECOND, 's')
  if (shown < DAY) return twoUnits(shown, HOUR, 'h', MINUTE, 'min')
  return twoUnits(shown, DAY, 'd', HOUR, 'h')
}

/** "just now", "12 s ago". */
export function agoText(ms: number): string {
  return ms < SECOND ? 'just now' : `${durationText(Math.floor(ms / SECOND) * SECOND)} ago`
}

/** 14:03:59 where the browser is; with the date when that is another day. */
export function timeText(atMs: number, nowMs: number): string {
  const at = new Date(atMs)
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(':')
  return at.toDateString() === new Date(nowMs).toDateString() ? clock : `${dateText(at)} ${clock}`
}

/** The same of an ISO time. */
export function isoText(iso: string, nowMs: number): string {
  return timeText(Date.parse(iso), nowMs)
}

/** A moment below an axis whose steps are that long: no more of it than tells the steps apart. */
export function axisTimeText(atMs: number, stepSeconds: number): string {
  const at = new Date(atMs)
  const parts = [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits)
  if (stepSeconds < 60) return parts.join(':')
  const isMidnight = at.getHours() === 0 && at.getMinutes() === 0
  return isMidnight ? dateText(at).slice(5) : parts.slice(0, 2).join(':')
}

export function bytesText(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < SIZES.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit > 0 && value < 10 ? 1 : 0
  return `${value.toFixed(digits)} ${SIZES[unit]}`
}

/** The first letter large. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** `text` in `chars` characters at most; what is left out is in the middle. */
export function cutMiddle(text: string, chars: number): string {
  if (text.length <= chars) return text
  const head = Math.ceil((chars - 1) / 2)
  return `${text.slice(0, head)}…${text.slice(text.length - (chars - 1 - head))}`
}

function dateText(at: Date): string {
  return [at.getFullYear(), at.getMonth() + 1, at.getDate()].map(twoDigits).join('-')
}

function twoDigits(number: number): string {
  return String(number).padStart(2, '0')
}

function twoUnits(ms: number, large: number, name: string, small: number, rest: string): string {
  const left = Math.floor((ms % large) / small)
  return `${Math.floor(ms / large)} ${name}${left > 0 ? ` ${left} ${rest}` : ''}`
}
