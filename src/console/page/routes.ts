/** Which screen the address names: `#/ID`, or `#/ID/REST`. Pure. */

export interface Route {
  /** '' when the address names none. */
  readonly screen: string
  /** What comes after the screen's id, decoded; '' for nothing. */
  readonly rest: string
}

export function parseRoute(hash: string): Route {
  const [, screen = '', rest = ''] = /^#\/([\w-]*)(?:\/(.*))?$/.exec(hash) ?? []
  return { screen, rest: decoded(rest) }
}

export function routeText(screen: string, rest = ''): string {
  return rest === '' ? `#/${screen}` : `#/${screen}/${encodeURIComponent(rest)}`
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
