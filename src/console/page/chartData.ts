/** What a chart draws. */

/** Seconds since 1970, then the values of each line; null: none. */
export type ChartData = readonly [readonly number[], ...(readonly (number | null)[])[]]
