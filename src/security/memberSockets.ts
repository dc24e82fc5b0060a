/**
 * The open connections on which another node has proven itself, whichever side made them. A node
 * that is removed loses all of them at once. They are as many as the bounds of connections allow.
 */
import type { Socket } from 'node:net'

/** Who was removed from the cluster. */
export interface Removed {
  isRemoved(fingerprint: string): boolean
  isRemovedNode(node: string): boolean
}

interface Proven {
  readonly node: string
  /** 64 hex digits of its TLS key; '' in plain text. */
  readonly fingerprint: string
}

export class MemberSockets {
  readonly #open = new Map<Socket, Proven>()

  add(socket: Socket, node: string, fingerprint: string): void {
    if (socket.destroyed) return
    if (!this.#open.has(socket)) socket.once('close', () => this.#open.delete(socket))
    this.#open.set(socket, { node, fingerprint })
  }

  /** Ends the connections of removed keys and nodes. Returns how many there were. */
  endRemoved(known: Removed): number {
    const ended = [...this.#open].filter(([, { node, fingerprint }]) =>
      fingerprint === '' ? known.isRemovedNode(node) : known.isRemoved(fingerprint),
    )
    for (const [socket] of ended) socket.destroy()
    return ended.length
  }
}
