/** Reports that were asked for, and those that came since. */

export interface Report<T> {
  key: string;
  time_ms: number;
  value: T;
}

/** Each once, though the stream may tell of one that the list has. Clocks of workers differ: times alone do not say. */
export function together<T>(asked: readonly Report<T>[], fresh: readonly Report<T>[]): Report<T>[] {
  const fromMs = Math.min(...fresh.map((each) => each.time_ms));
  const known = new Set(asked.filter((each) => each.time_ms >= fromMs).map(identity));
  return [...asked, ...fresh.filter((each) => !known.has(identity(each)))];
}

function identity({ time_ms, value }: Report<unknown>): string {
  return `${time_ms} ${JSON.stringify(value)}`;
}
