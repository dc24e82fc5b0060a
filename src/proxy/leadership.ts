/** What the requests of clients tell those who decide who leads, and ask them. */
export interface Leadership {
  /**
   * Looks whether this process stood still; what follows from that is done when it returns. Cheap:
   * asked for each write.
   */
  checkAlive(): void
  /** A client has seen an epoch after this node's. Resolves when it is known who leads. */
  laterEpochSeen(epoch: number): Promise<void>
  /** A node that has been in a higher epoch sent a request. */
  higherEpochHeard(node: string, epoch: number): void
}
