/**
 * Begins to read at once what somebody reads later. Node's async iterator of an HTTP/2 stream looks at the stream when it is
 * first asked, and takes one that has closed for broken even if its whole answer is waiting to be read: so an answer that
 * came in one piece, as to a slow machine, would be lost.
 * @returns the same object
 */
export function readEagerly<T, S extends AsyncIterable<T>>(stream: S): S {
  const iterator = stream[Symbol.asyncIterator]();
  let first: Promise<IteratorResult<T>> | undefined = iterator.next();
  first.catch(() => {});
  const reader: AsyncIterator<T> & AsyncIterable<T> = {
    next() {
      const next = first ?? iterator.next();
      first = undefined;
      return next;
    },
    return: async (value) => (await iterator.return?.(value)) ?? { done: true, value },
    [Symbol.asyncIterator]: () => reader,
  };
  return Object.assign(stream, { [Symbol.asyncIterator]: () => reader });
}
