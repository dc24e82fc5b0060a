export async function runHistory(_args: readonly string[]): Promise<number> {
  return 0
}
