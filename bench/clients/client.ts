/**
 * How the bench's programs talk to a system: the same few operations, each through the system's own
 * client.
 */

export interface WriterOptions {
  /** Bytes of the value in each row. */
  readonly valueBytes: number
  /** About how many database pages one commit changes. */
  readonly pages: number
  /** For clients that open a SQLite file themselves. */
  readonly autocheckpoint: number
}

export interface WriteClient {
  /**
   * Commits one row, acknowledged as the system acknowledges a commit. Ids are 1, 2, 3 and so on.
   */
  insert(id: number): void | Promise<void>
  close(): void | Promise<void>
}

export interface ReadClient {
  /** The largest id visible here now; 0 when there is none. */
  maxId(): number | Promise<number>
  close(): void | Promise<void>
}

/** `where` is a file or an address, as the system's adapter says. */
export interface Client {
  openWriter(where: string, options: WriterOptions): WriteClient | Promise<WriteClient>
  openReader(where: string): ReadClient | Promise<ReadClient>
  /** A SHA-256 over everything stored there, the same for the same content. */
  digest(where: string): string | Promise<string>
}
