/**
 * One kept-alive HTTP connection, for clients that ask one thing at a time. A request takes about
 * half the time of `fetch`.
 */
import { Agent, request } from 'node:http'

export class HttpConnection {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  readonly #url: string

  /** `url` without a path, such as `http://127.0.0.1:8080`. Connects with the first request. */
  constructor(url: string) {
    this.#url = url
  }

  /** The body of the answer. Rejects unless its status is 200. */
  post(path: string, body: string | Buffer, contentType = 'application/json'): Promise<string> {
    const headers = { 'content-type': contentType, 'content-length': Buffer.byteLength(body) }
    return new Promise((resolve, reject) => {
      const asked = request(
        this.#url + path,
        { agent: this.#agent, method: 'POST', headers },
        (answer) => {
          let text = ''
          answer.setEncoding('utf8')
          answer.on('data', (chunk: string) => {
            text += chunk
          })
          answer.once('error', reject)
          answer.once('end', () => {
            if (answer.statusCode === 200) resolve(text)
            else
              reject(
                new Error(
                  `${this.#url}${path} answers ${answer.statusCode}: ${text.slice(0, 500)}`,
                ),
              )
          })
        },
      )
      asked.once('error', reject)
      asked.end(body)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}
