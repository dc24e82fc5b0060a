/**
 * One store for all who use a place: it is opened at the first need. What a store has found out,
 * such as whether it honours conditional writes, is then asked once.
 */
import type { Store } from './store.ts'

/** Opening that failed is tried again the next time. */
export function openedOnce(open: () => Promise<Store>): () => Promise<Store> {
  let opened: Promise<Store> | undefined
  return () => {
    opened ??= open().catch((error: unknown) => {
      opened = undefined
      throw error
    })
    return opened
  }
}
