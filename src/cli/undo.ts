export async function runUndo(_args: readonly string[]): Promise<number> {
  return 0
}
