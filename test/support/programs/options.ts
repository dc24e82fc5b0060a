/** The options of the program: one JSON object as its only argument. */
export function optionsOf<T>(): T {
  return JSON.parse(process.argv[2] ?? '{}') as T
}

/** Turns true at a line or the end of standard input. */
export function stopSign(): { stopped: boolean } {
  const sign = { stopped: false }
  const stop = () => {
    sign.stopped = true
  }
  process.stdin.on('data', stop)
  process.stdin.on('end', stop)
  return sign
}

export function say(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}
