/** What requests ask of the part that decides which node leads, and tell it. */
export interface Leadership {
  /** Looks whether this node can still be sure that it leads. Cheap: called for each write. */
  check(): void
  /** A client has seen an epoch after this leader's. Resolves when it is known who leads. */
  onLaterPosition(epoch: number): Promise<void>
  /** A node that has been in a higher epoch sent a request. */
  onHigherEpoch(node: string, epoch: number): void
  /** HOST:PORT of replicas that may answer a read in place of this leader. */
  lenders(): readonly string[]
}
