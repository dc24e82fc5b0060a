/** A poll of this page, which pauses while the page is out of sight. */
import { isSeen, setTimer, watchSight } from './browser.ts'
import { Poll, type PollParts } from './poll.ts'
import { asRefusal, type Refusal } from './requests.ts'

export interface PagePollParts extends Omit<PollParts, 'onRead'> {
  /** There is an answer; or `refusal`: why there is none. */
  onRead(refusal: Refusal | undefined): void
}

export function startPoll({ read, onRead, pauseMs }: PagePollParts): Poll {
  const told = (error: unknown) => onRead(error === undefined ? undefined : asRefusal(error))
  return new Poll({ read, onRead: told, pauseMs }, { isSeen, setTimer, watchSight })
}
