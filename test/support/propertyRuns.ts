/**
 * How often a costly test repeats itself with other random input: a fifth in `npm test`, all of it
 * in `npm run campaigns`, which sets TEST_CAMPAIGN. Each time the input is new.
 */
export function propertyRuns(inCampaign: number): number {
  return process.env['TEST_CAMPAIGN'] ? inCampaign : Math.ceil(inCampaign / 5)
}
