/** Gives up the rights of root for those of another user, in no group but `gid`. */
export function become(uid: number, gid: number): void {
  process.setgroups?.([])
  process.setgid?.(gid)
  process.setuid?.(uid)
}
