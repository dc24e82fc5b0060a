/** Streams of page images, each ascending by page number, made one: of each page the last image. */
import type { PageImage } from '../archiveFileWriter.ts'

interface Stream {
  readonly rest: AsyncIterator<PageImage>
  head: PageImage
}

/**
 * Of two images of a page the one of the later stream is given. Memory: one image of each stream,
 * and what a stream holds itself.
 */
export async function* newestImages(
  images: readonly AsyncIterable<PageImage>[],
): AsyncGenerator<PageImage> {
  const begun = images.map((each) => each[Symbol.asyncIterator]())
  try {
    let streams = await streamsOf(begun)
    while (streams.length > 0) {
      const number = streams.reduce((least, { head }) => Math.min(least, head.number), Infinity)
      const same = streams.filter(({ head }) => head.number === number)
      yield same[same.length - 1].head
      for (const stream of same) {
        const next = await stream.rest.next()
        if (next.done) streams = streams.filter((each) => each !== stream)
        else stream.head = next.value
      }
    }
  } finally {
    for (const each of begun) await each.return?.()
  }
}

async function streamsOf(begun: readonly AsyncIterator<PageImage>[]): Promise<Stream[]> {
  const streams: Stream[] = []
  for (const rest of begun) {
    const first = await rest.next()
    if (!first.done) streams.push({ rest, head: first.value })
  }
  return streams
}
