/** What tokens may do. The page of the console knows it too, so that nothing of Node is needed. */

/** From the least to the most that a token may do. */
export const TOKEN_ROLES = ['metrics', 'read', 'operate', 'admin'] as const
export type TokenRole = (typeof TOKEN_ROLES)[number]

/** Whether a token of role `has` may do what needs role `least`. */
export function isEnough(has: TokenRole, least: TokenRole): boolean {
  return TOKEN_ROLES.indexOf(has) >= TOKEN_ROLES.indexOf(least)
}
