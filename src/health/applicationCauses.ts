/**
 * Why clients get no answers although the node could serve them. Pure: from the state of the
 * application to causes.
 */

import type { ApplicationStatus } from '../api/applicationStatus.ts'
import type { Cause } from '../api/cause.ts'

export function applicationCauses(application: ApplicationStatus | undefined): Cause[] {
  if (application?.state !== 'down') return []
  const { url, detail, held } = application
  const text =
    `the application at ${url} is down (${detail}); check that it runs and that --upstream is ` +
    'its address; requests that were not executed wait for it, --hold at most'
  return [{ code: 'application-down', text, url, detail, held }]
}
