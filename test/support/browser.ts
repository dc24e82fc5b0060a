/**
 * Sends requests as a browser without JavaScript does: keeps cookies, sends forms, and follows no
 * redirect by itself.
 */
import { PATIENCE_MS } from './until.ts'

export interface Page {
  readonly status: number
  readonly text: string
  readonly headers: Headers
}

export class Browser {
  readonly #origin: string
  readonly #cookies = new Map<string, string>()

  constructor(origin: string) {
    this.#origin = origin
  }

  get(path: string): Promise<Page> {
    return this.#send(path, {})
  }

  submit(path: string, fields: Readonly<Record<string, string>>): Promise<Page> {
    return this.#send(path, { method: 'POST', body: new URLSearchParams(fields) })
  }

  send(method: string, path: string, value?: object): Promise<Page> {
    if (value === undefined) return this.#send(path, { method })
    const headers = { 'content-type': 'application/json' }
    return this.#send(path, { method, headers, body: JSON.stringify(value) })
  }

  async #send(path: string, given: RequestInit): Promise<Page> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { ...(given.headers as Record<string, string>), ...(cookie ? { cookie } : {}) }
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const response = await fetch(new URL(path, this.#origin), {
      ...given,
      headers,
      signal,
      redirect: 'manual',
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=;]+)=([^;]*)/.exec(line) ?? []
      if (name) this.#cookies.set(name, value)
    }
    return { status: response.status, text: await response.text(), headers: response.headers }
  }
}
