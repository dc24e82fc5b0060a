/**
 * While a command holds the write lock of a database, writers of the application wait for it.
 * Ctrl-Z at its terminal would stop it there, and them with it for as long as it is forgotten.
 */

/** `onAsked`: the terminal asks the command to stop (SIGTSTP), and it does not. */
export async function unstopped<T>(act: () => Promise<T>, onAsked: () => void): Promise<T> {
  process.on('SIGTSTP', onAsked)
  try {
    return await act()
  } finally {
    process.removeListener('SIGTSTP', onAsked)
  }
}
