/** Times before now, as arguments of a command. */

const AGO = /^-(\d[\d.a-z]*[a-z])$/i

/** `-6h` is no flag: it becomes `6h ago`. */
export function withAgo(args: readonly string[]): string[] {
  return args.map((arg) => {
    const ago = AGO.exec(arg)?.[1]
    return ago === undefined ? arg : `${ago} ago`
  })
}
