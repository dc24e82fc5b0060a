/**
 * Why clients are not served although the node can serve. Pure: from what is known of the
 * application to causes.
 */

import type { ApplicationStatus } from '../api/applicationStatus.ts'
import type { Cause } from '../api/cause.ts'

export function applicationCauses(application: ApplicationStatus | undefined): Cause[] {
  if (application?.state !== 'down') return []
  const { url, detail, held } = application
  const text =
    `the application at ${url} is down (${detail}); check that it runs and that --upstream is its address; ` +
    'requests that nobody has executed wait for it, --hold at most'
  return [{ code: 'application-down', text, url, detail, held }]
}
