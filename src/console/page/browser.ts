/** What the page has of the browser besides its document: time, requests, streams, storage. */

import type { Stream, StreamHandlers } from './link.ts'

/** Milliseconds since 1970 in the browser's clock. */
export function nowMs(): number {
  return Date.now()
}

/** Gives what cancels it. */
export function setTimer(then: () => void, delayMs: number): () => void {
  const timer = setTimeout(then, delayMs)
  return () => clearTimeout(timer)
}

/** From 0 to below 1. */
export function random(): number {
  return Math.random()
}

/**
 * Same origin only: the policy of the page allows no other. `limitMs`: until the answer begins. It
 * also ends when `init.signal` aborts.
 */
export function send(path: string, init: RequestInit, limitMs: number): Promise<Response> {
  const ended = new AbortController()
  const end = ({ target }: Event) => ended.abort(Object(target).reason)
  for (const each of [AbortSignal.timeout(limitMs), init.signal]) {
    if (each?.aborted) ended.abort(each.reason)
    else each?.addEventListener('abort', end)
  }
  const { signal } = ended
  return fetch(path, { ...init, signal, credentials: 'same-origin', redirect: 'error' })
}

export function openStream(
  path: string,
  events: readonly string[],
  { onEvent, onEnd }: StreamHandlers,
): Stream {
  const source = new EventSource(path)
  for (const event of events)
    source.addEventListener(event, ({ data }) => onEvent(event, String(data)))
  // The page paces its own attempts.
  source.addEventListener('error', () => {
    source.close()
    onEnd()
  })
  return source
}

/** A setting of this browser; undefined where it keeps none. */
export function kept(key: string): string | undefined {
  try {
    return localStorage.getItem(key) ?? undefined
  } catch {
    return undefined
  }
}

export function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    // A browser that keeps nothing asks anew at each visit.
  }
}

/** Calls whenever the page comes into sight, and after it was out of sight for `hiddenMs`. */
export function onSight(onShown: () => void, onHidden: () => void, hiddenMs: number): void {
  let cancel = () => {}
  watchSight(() => {
    cancel()
    if (isSeen()) onShown()
    else cancel = setTimer(onHidden, hiddenMs)
  })
}

/** Whether the page is in sight: its tab is the one that is shown. */
export function isSeen(): boolean {
  return !document.hidden
}

/** Calls whenever the page comes into sight or leaves it, until what it gives is called. */
export function watchSight(onChange: () => void): () => void {
  document.addEventListener('visibilitychange', onChange)
  return () => document.removeEventListener('visibilitychange', onChange)
}

/** Whether whoever listens on the network can read what is sent: no TLS, and not this machine. */
export function isOverheard(): boolean {
  return !isSecureContext
}

/** As long as the page lives. */
export function every(then: () => void, everyMs: number): void {
  setInterval(then, everyMs)
}

/** A moment in the browser's measure of this load; only the first one of that name counts. */
export function markOnce(name: string): void {
  if (performance.getEntriesByName(name).length === 0) performance.mark(name)
}
