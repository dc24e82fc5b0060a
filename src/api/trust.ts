/** Where two nodes exchange what they know of keys, tokens and settings of their cluster. */
export const TRUST_PATH = '/_walcast/trust'
