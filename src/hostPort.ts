/** Addresses of nodes: HOST:PORT, IPv6 hosts in brackets. */

export interface HostPort {
  /** Without brackets. */
  readonly host: string
  readonly port: number
}

/** A host holds nothing that a URL would end it at. */
const PATTERN = /^(?:\[([0-9a-fA-F:]+)\]|([^:/?#@[\]\s]+)):(\d{1,5})$/

/**
 * Whether the address stands for every address of a machine: good to listen on, and no place that
 * others could reach.
 */
export function isEverywhere({ host }: HostPort): boolean {
  return host === '0.0.0.0' || /^[0:]*:[0:]*$/.test(host)
}

/** Undefined when the text is none, or one that no request could be sent to. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = PATTERN.exec(text)
  // A URL also refuses a port past 65535, and a host such as 10.0.0.999.
  if (!match || !URL.canParse(`http://${text}`)) return undefined
  return { host: match[1] ?? match[2], port: Number(match[3]) }
}
