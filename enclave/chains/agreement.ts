/**
 * The first value that k of those asked give; undefined as soon as that cannot be any more. Who fails says nothing.
 * @param nameOf equal texts: the same value
 */
export function agreed<T>(
  k: number,
  asked: readonly Promise<T | undefined>[],
  nameOf: (value: T) => string,
): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<T | undefined>();
  const counts = new Map<string, number>();
  let pending = asked.length;
  const settle = (value: T | undefined): void => {
    pending -= 1;
    if (value !== undefined) {
      const name = nameOf(value);
      const count = (counts.get(name) ?? 0) + 1;
      counts.set(name, count);
      if (count >= k) resolve(value);
    }
    if (Math.max(0, ...counts.values()) + pending < k) resolve(undefined);
  };
  if (asked.length < k) resolve(undefined);
  for (const one of asked) one.then(settle, () => settle(undefined));
  return promise;
}
